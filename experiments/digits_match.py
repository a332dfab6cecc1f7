"""Digits and captions: does the caption name the digit that the image shows?

scikit-learn's 1,797 handwritten digits (8x8), paired with captions such as "this is a seven".

    python experiments/digits_match.py

On 2 CPU cores about 0.6 minutes; test accuracy 98.42 ± 0.56 % (mean ± standard
deviation over 3 seeds).
"""

import mmjax

experiment = mmjax.Experiment(
    model=mmjax.Multimodal(
        encoders={
            "image": mmjax.encoders.Cnn(features=(32, 64), dim=64),
            "text": mmjax.encoders.Lstm(dim=64),
        },
        fusion=mmjax.fusion.Concat(),
        heads={"match": mmjax.heads.Logit(hidden=(128,))},
    ),
    objectives={"match": mmjax.objectives.BinaryCrossEntropy(output="match", target="match")},
    data=mmjax.data.DigitsMatch(word_dropout=0.05),
    optim=mmjax.optim.Adam(peak_lr=3e-3),
    steps=1000,
    keeping=mmjax.Keeping(eval_every=250, log_every=25),
)

if __name__ == "__main__":
    mmjax.main(experiment)
