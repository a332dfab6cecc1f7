"""Any encoders with any fusion and any head, from the command line, for one training step.

There are more combinations than a test can run. Every fifth fusion is run, with three encoders of
a deck that is shuffled anew for each commit. A test's name ends in the commit's number, and
MMJAX_SEED=<number> repeats it.
"""

import functools
import os
import random
from pathlib import Path

import jax
import numpy as np
import pytest

from mmjax.config.command_line import parse
from mmjax.config.registry import fields
from mmjax.encoders import ENCODERS, Features
from mmjax.fusion import FUSIONS, Concat
from mmjax.heads import HEADS, Decoder, Logit
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.train.step.step import train_step
from mmjax.types import Batch, MetricName
from tests import samples
from tests.config.experiments import small

pytestmark = pytest.mark.usefixtures("standard_promotion")
SEED = int(os.environ["MMJAX_SEED"])  # the commit, unless it is given: conftest.py
MODALITIES = ("a", "b", "c")
WORDS = np.array([[3, 0], [4, 0], [2, 0], [5, 0]], np.int32)
OBJECTIVE = {  # what each head learns by, and from
    "logit": ("binary_cross_entropy", np.array([1, 0, 1, 0], np.float32)),
    "classes": ("softmax_cross_entropy", np.array([1, 0, 1, 0], np.int32)),
    "number": ("squared_error", np.array([0.5, -1, 2, 0], np.float32)),
    "lstm_decoder": ("text_cross_entropy", WORDS),
    "transformer_decoder": ("text_cross_entropy", WORDS),
    "token_words": ("ctc", WORDS),
    "occupancy": ("occupancy_cross_entropy", np.zeros((4, 16, 16), np.float32)),
    "waypoints": ("path_error", np.ones((4, 6, 2), np.float32)),
}


def dealt():
    """{fusion: three (encoder's name, small variant)}, and a head's name."""
    draws = random.Random(SEED)
    deck = []
    while len(deck) < len(MODALITIES) * len(FUSIONS):
        deck += draws.sample(sorted(ENCODERS), len(ENCODERS))
    hands = {}
    for place, fusion in enumerate(sorted(FUSIONS)):
        names = deck[place * len(MODALITIES) :][: len(MODALITIES)]
        variants = [draws.choice(samples.ENCODER_VARIANTS[name]) for name in names]
        hands[fusion] = list(zip(names, variants, strict=True)), draws.choice(sorted(HEADS))
    return hands


HANDS = dealt()


def flags(path, module):
    """What a user types to get these fields instead of the defaults."""
    found = []
    for field in fields(type(module)):
        value, name = getattr(module, field.name), field.name.replace("_", "-")
        flag = f"--{path.replace('_', '-')}.{'no-' if value is False else ''}{name}"
        if value == field.default:
            continue
        if isinstance(value, bool):
            found.append(flag)
        else:
            found += [flag, *map(str, value if isinstance(value, tuple) else [value])]
    return found


def test_every_head_has_something_to_learn():
    assert set(OBJECTIVE) == set(HEADS)


@pytest.mark.parametrize(
    "fusion", sorted(FUSIONS)[SEED % 5 :: 5], ids=lambda name: f"{name}-{SEED}"
)
def test_encoders_fusions_and_heads_go_together(fusion):
    encoders, head = HANDS[fusion]
    typed = [f"model.fusion:{fusion}"]
    objective, targets = OBJECTIVE[head]
    typed += [f"model.heads.match:{head}", f"objectives.match:{objective}"]
    if issubclass(HEADS[head], Decoder):
        typed += ["--model.heads.match.target", "match"]
    if getattr(FUSIONS[fusion], "dim", 0) is None:
        typed += ["--model.fusion.dim", "8"]  # encoders of any width
    for modality, (name, module) in zip(MODALITIES, encoders, strict=True):
        typed += [f"model.encoders.{modality}:{name}"]
        typed += flags(f"model.encoders.{modality}", module)
    start = Multimodal(
        encoders={name: Features() for name in MODALITIES},
        fusion=Concat(),
        heads={"match": Logit()},
    )
    (point,) = parse(small(model=start), Path("runs/x"), typed, "").points
    experiment = point.experiment
    model = experiment.model
    assert [type(model.encoders[m]) for m in MODALITIES] == [type(e) for _, e in encoders]
    assert list(model.encoders.values()) == [module for _, module in encoders]
    assert type(model.fusion) is FUSIONS[fusion] and type(model.heads["match"]) is HEADS[head]

    inputs = {
        modality: samples.INPUTS[name]()
        for modality, (name, _) in zip(MODALITIES, encoders, strict=True)
    }
    batch = Batch(
        inputs, {"match": samples.target(targets)}, weight=np.ones(4, np.float32), ids=np.arange(4)
    )
    tx = experiment.optim.chain(3)
    state = create_state(model, tx, batch, seed=0)
    step = functools.partial(
        train_step, model=model, objectives=experiment.objectives, tx=tx, axis=None
    )
    after, sums = jax.jit(step)(state, batch)
    assert np.isfinite(sums[MetricName("match", "loss")].mean())
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(after.params))
    assert jax.tree.structure(after) == jax.tree.structure(state)
