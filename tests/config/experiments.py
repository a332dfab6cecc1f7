"""A small experiment for the tests of configuration, training and evaluation."""

import dataclasses

from mmjax.config import Experiment, Keeping
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
    keeping=Keeping(eval_every=4, log_every=2),
)


def small(**changes):
    return changed(SMALL, **changes)


def changed(experiment, **changes):
    """The experiment with other fields, its own or those of `compute` and `keeping`."""
    for name in ("compute", "keeping"):
        part = getattr(experiment, name)
        known = {field.name for field in dataclasses.fields(part)}
        own = {key: changes.pop(key) for key in list(changes) if key in known}
        changes.setdefault(name, dataclasses.replace(part, **own))
    return dataclasses.replace(experiment, **changes)
