"""Negative controls: a resumption that forgets one thing must be found out.

If leaving a thing out changed nothing that is compared, comparing would prove nothing.
"""

import contextlib
import dataclasses
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
from jax.experimental.compilation_cache import compilation_cache

from mmjax.config import Experiment
from mmjax.data.datasets import DigitsMatch
from mmjax.encoders import ResNet
from mmjax.imputation import TrainingMean
from mmjax.models.train_state import TrainState
from mmjax.runs import checkpoint_reader, log
from mmjax.runs.stop import Interrupted, Stop
from mmjax.train.loop import stream
from mmjax.train.loop.fit import fit
from tests.config.experiments import small
from tests.faults.row import Row
from tests.faults.trainee import outcome, same

STOP = 5


def experiment(data_dir: str, batch_norm: bool) -> Experiment:
    """Running statistics, dropout, Adam and an average of the parameters."""
    network = dataclasses.replace(small().model, imputation=TrainingMean())
    if batch_norm:
        image = ResNet(18, dim=8, small_images=True, width=2)
        network = dataclasses.replace(network, encoders={**network.encoders, "image": image})
    data = DigitsMatch(data_dir=data_dir)
    return small(model=network, data=data, steps=8, log_every=1, ema=0.9, devices=1)


@contextlib.contextmanager
def forgetting(change: Callable[[TrainState], TrainState]) -> Iterator[None]:
    """Whatever is restored has been changed."""
    real = checkpoint_reader.restore

    def restore(run, step, like, sharding):
        state, progress = real(run, step, like, sharding)
        return change(state), progress

    with mock.patch.object(checkpoint_reader, "restore", restore):
        yield


def zeros(tree):
    return jax.tree.map(jnp.zeros_like, tree)


def copies(tree):
    return jax.tree.map(jnp.copy, tree)


@contextlib.contextmanager
def data_from_the_start() -> Iterator[None]:
    real = stream.train_batches

    def batches(*arguments, start, **options):
        return real(*arguments, start=0, **options)

    with mock.patch.object(stream, "train_batches", batches):
        yield


@contextlib.contextmanager
def compiled_once(folder: str) -> Iterator[None]:
    """The same programs, again and again."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    for name, value in zip(names, (f"{folder}/compiled", 0.0), strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


CONTROLS = {
    "nothing": contextlib.nullcontext,
    "the optimiser": lambda: forgetting(lambda s: s.replace(opt_state=zeros(s.opt_state))),
    "the key": lambda: forgetting(lambda s: s.replace(key=s.key + 1)),  # seed 0 has zeros
    "the position in the data": data_from_the_start,
    "the average": lambda: forgetting(
        lambda s: s.replace(average=jax.tree.map(jnp.copy, s.params))
    ),
    "running statistics": lambda: forgetting(lambda s: s.replace(collections=zeros(s.collections))),
    "the log's end": lambda: mock.patch.object(
        log, "_kept", lambda path, start, mark: path.read_text()
    ),
}


def controls(data_dir: str, batch_norm: bool = True) -> Row:
    """Each must be seen, and nothing where nothing was forgotten.

    Without `batch_norm` the statistics are those of what stands in for missing modalities.
    """
    chosen = experiment(data_dir, batch_norm)
    found = {}
    with tempfile.TemporaryDirectory() as folder, compiled_once(folder):
        fit(chosen, Path(folder) / "straight")
        expected = outcome(Path(folder) / "straight")
        stopped = Path(folder) / "stopped"
        with mock.patch.object(Stop, "asked", _stop_at), contextlib.suppress(Interrupted):
            fit(chosen, stopped)
        assert checkpoint_reader.steps(stopped)[-1] == STOP
        for name, forget in CONTROLS.items():
            run = Path(folder) / name.replace(" ", "_")
            shutil.copytree(stopped, run)
            if name == "the log's end":  # what a killed run had logged beyond its checkpoint
                with (run / log.FILE).open("a") as file:
                    file.write('{"step": 6, "split": "train"}\n')
            with forget():
                fit(chosen, run)
            found[name] = same(outcome(run), expected)
    right = found.pop("nothing") + sum(not unseen for unseen in found.values())
    missed = [name for name, unseen in found.items() if unseen]
    return Row("negative controls", 1 + len(found), right, f"unseen: {missed}" if missed else "")


def _stop_at(self: Stop, step: int) -> int | None:
    return signal.SIGTERM if step == STOP else None
