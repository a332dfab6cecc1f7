"""A small experiment for the tests of configuration, training and evaluation."""

import dataclasses

from mmjax.config import Experiment
from mmjax.data.datasets import DigitsMatch
from mmjax.encoders import Cnn, Lstm
from mmjax.fusion import Concat
from mmjax.heads import Logit
from mmjax.models.multimodal import Multimodal
from mmjax.objectives import BinaryCrossEntropy
from mmjax.optim import Adam

SMALL = Experiment(
    model=Multimodal(
        encoders={"image": Cnn((4,), 8), "text": Lstm(100, 4, 8, dropout=0.1)},
        fusion=Concat(),
        heads={"match": Logit(hidden=(8,))},
    ),
    objectives={"match": BinaryCrossEntropy(output="match", target="match")},
    data=DigitsMatch(),
    optim=Adam(peak_lr=1e-2),
    steps=6,
    batch_size=16,
    eval_every=4,
    log_every=2,
)


def small(**changes):
    return dataclasses.replace(SMALL, **changes)
