"""Which digit is it? From a picture and a caption that is wrong in one example of five.

scikit-learn's 1,797 handwritten digits (8x8); the target is one class of ten.

    python experiments/digits_class.py

On 2 CPU cores about 0.9 minutes; test accuracy 98.9 ± 0.3 % (mean ± standard deviation over
3 seeds: `--seeds 3`). Whoever reads the caption alone is right in 80 %.
"""

import mmjax

experiment = mmjax.Experiment(
    model=mmjax.Multimodal(
        encoders={
            "image": mmjax.encoders.Cnn(features=(32, 64), dim=64),
            "text": mmjax.encoders.Lstm(dim=64),
        },
        fusion=mmjax.fusion.Concat(),
        heads={"digit": mmjax.heads.Classes(classes=10)},
    ),
    objectives={"digit": mmjax.objectives.SoftmaxCrossEntropy(output="digit", target="digit")},
    data=mmjax.data.DigitsClass(),
    optim=mmjax.optim.Adam(peak_lr=3e-3),
    steps=1000,
    keeping=mmjax.Keeping(eval_every=250, log_every=25),
)

if __name__ == "__main__":
    mmjax.main(experiment)
