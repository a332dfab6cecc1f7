"""Fashion-MNIST and captions: does the caption name the piece of clothing that the image shows?

The network of `mnist_match.py` on harder pictures, with captions such as "a pair of sneakers".

    python experiments/fashion_match.py --data.manual-dir DIR
"""

import mmjax

experiment = mmjax.Experiment(
    model=mmjax.Multimodal(
        encoders={
            "image": mmjax.Cnn(features=(32, 64), dim=64, pooling="flatten"),
            "text": mmjax.Lstm(vocabulary_size=10_000, embedding_dim=32, dim=64),
        },
        fusion=mmjax.Concat(),
        heads={"match": mmjax.Logit(hidden=(128,))},
    ),
    objectives={"match": mmjax.BinaryCrossEntropy()},
    data=mmjax.FashionMatch(word_dropout=0.02),
    optim=mmjax.Adam(peak_lr=2e-3, warmup=0.1),
    steps=860,  # twice 55,000 images
    eval_every=430,
)

if __name__ == "__main__":
    mmjax.main(experiment)
