"""What it costs a training step to look for NaN: with and without, in alternation."""

import functools
import statistics
import time

import jax

from mmjax.data.datasets import DigitsMatch
from mmjax.data.pipeline.batches import train_batches
from mmjax.encoders import Cnn, Lstm
from mmjax.fusion import Concat
from mmjax.heads import Logit
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.train.step.step import train_step
from tests.config.experiments import small
from tests.faults.row import Row

LIMIT = 1.02


def guard(data_dir: str, rounds: int = 60, steps: int = 10) -> Row:
    """The median ratio of the times of the tutorial's network, batch 128."""
    network = Multimodal(
        encoders={"image": Cnn((32, 64), 64), "text": Lstm(10_000, 32, 64)},
        fusion=Concat(),
        heads={"match": Logit(hidden=(64,))},
    )
    experiment = small(model=network, data=DigitsMatch(data_dir=data_dir), batch_size=128)
    source = experiment.data.source("train")
    batches = train_batches(
        experiment.data, source, experiment.data.preprocessing(),
        batch_size=experiment.batch_size, seed=0, start=0,
    )  # fmt: skip
    batch, tx = next(batches), experiment.update()
    batches.close()
    fresh = create_state(network, tx, batch, seed=0)
    step = functools.partial(
        train_step, model=network, objectives=experiment.objectives, tx=tx, axis=None
    )
    programs = {on: jax.jit(functools.partial(step, guard=on)) for on in (True, False)}

    def seconds(on: bool) -> float:
        state, began = fresh, time.process_time()
        for _ in range(steps):
            state, _ = programs[on](state, batch)
        jax.block_until_ready(state)
        return time.process_time() - began

    for on in programs:
        seconds(on)
    ratios = [seconds(True) / seconds(False) for _ in range(rounds)]
    middle = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4)
    remark = f"median {middle:.3f} of the time without (quartiles {low:.3f} to {high:.3f})"
    return Row("a step that looks for NaN", 1, int(middle <= LIMIT), remark)
