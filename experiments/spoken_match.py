"""Match on speech: does the recording say the digit that the picture shows?

scikit-learn's digits (8 x 8 pixels) and the Free Spoken Digit Dataset (8 kHz, six speakers), each
with its own test split (other recordings of the same speakers); a CNN on the pixels, a CNN on a
log-mel spectrogram.

    python experiments/spoken_match.py --data.manual-dir DIR
    python experiments/spoken_match.py --data.manual-dir DIR --steps 30    # does it run?

where DIR holds free-spoken-digit-dataset.tar.gz. On 2 CPU cores about 2 minutes when nothing else
runs; test accuracy 97.49 ± 0.48 % (mean ± standard deviation over 3 seeds).
"""

import mmjax

experiment = mmjax.Experiment(
    model=mmjax.Multimodal(
        encoders={
            "image": mmjax.encoders.Cnn(features=(32, 64), dim=64),
            "speech": mmjax.encoders.AudioCnn(sample_rate=8000, hop=0.02, mels=40),
        },
        fusion=mmjax.fusion.Concat(),
        heads={"match": mmjax.heads.Logit(hidden=(128,))},
    ),
    objectives={"match": mmjax.objectives.BinaryCrossEntropy(output="match", target="match")},
    data=mmjax.data.SpokenMatch(),
    optim=mmjax.optim.Adam(peak_lr=1e-3),
    steps=2000,
    batch_size=64,
    keeping=mmjax.Keeping(eval_every=500, log_every=100),
)

if __name__ == "__main__":
    mmjax.main(experiment)
