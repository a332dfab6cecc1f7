"""What a training needs before its first step, all of it checked before a file is written."""

import contextlib
import functools
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jax
import optax

from mmjax.config import Experiment
from mmjax.data import buckets
from mmjax.data.pipeline import held, train_batches, train_picks
from mmjax.data.preprocessing import Preprocessing
from mmjax.train import calls, parallel, pretrained, stored
from mmjax.train.agreement import require_agreement, require_labels
from mmjax.train.evaluator import Evaluator
from mmjax.train.state import TrainState, create_state
from mmjax.train.step import train_step
from mmjax.types import Batch


class Setup:
    """Data, fresh state, compiled step and evaluator of an experiment.

    Raises:
        ValueError: the configuration cannot be; says which flag.
        FileNotFoundError: data or weights are not where they should be.
    """

    def __init__(self, experiment: Experiment, run: Path) -> None:
        self.mesh = parallel.choose(
            experiment.batch_size, experiment.devices, parts=experiment.accumulate
        )
        experiment.data.prepare()
        self.preprocessing = _preprocessing(experiment, run)
        source = experiment.data.source("train")
        self.epoch = len(source)
        self._experiment = experiment
        self._read = {
            "data": experiment.data,
            "source": source,
            "preprocessing": self.preprocessing,
            "batch_size": experiment.batch_size,
            "seed": experiment.seed,
            "share": parallel.share(),
        }
        tx = experiment.update()
        require_agreement(experiment, self.preprocessing)
        with contextlib.closing(train_batches(**self._read, start=0)) as batches:
            first = next(batches)
        require_labels(experiment, first)
        self.fresh, self.files = _fresh(experiment, run, tx, first)
        step = functools.partial(
            train_step,
            model=experiment.model,
            objectives=experiment.objectives,
            tx=tx,
            balance=experiment.balance,
            ema=experiment.ema,
            guard=experiment.on_nonfinite != "ignore",
            accumulate=experiment.accumulate,
        )
        self.lengths = buckets.expected(self.preprocessing, experiment.buckets)
        several = experiment.steps_per_call > 1
        self._held = None
        if several:
            self._held = held(experiment.data, source, self.preprocessing)
        self.update = parallel.WRAPPERS[experiment.parallel](
            calls.scanned(step) if several else step,
            self.mesh,
            donate=True,
            stacked=several,
            held=self._held,
        )
        self.evaluator = Evaluator(experiment, self.preprocessing, parallel.local(self.mesh))
        jax.eval_shape(functools.partial(step, axis=None), self.fresh, first)
        _check_metric(experiment, self.evaluator, self.fresh)

    def stream(self, *, start: int, workers: int = 0) -> Generator[Any, None, None]:
        """What `update` takes, from step `start` on."""
        experiment = self._experiment
        read = {**self._read, "start": start, "workers": workers}
        if experiment.steps_per_call == 1:
            return train_batches(**read, buckets=experiment.buckets)
        batches = train_batches(**read) if self._held is None else train_picks(**read)
        return calls.stacked(
            batches, start=start, steps=experiment.steps, size=experiment.steps_per_call
        )


def _preprocessing(experiment: Experiment, run: Path) -> Preprocessing:
    """The run's own, or fitted anew where it has none yet."""
    try:
        return Preprocessing.load(run)
    except FileNotFoundError:
        return experiment.data.preprocessing()


def _fresh(
    experiment: Experiment, run: Path, tx: optax.GradientTransformation, first: Batch
) -> tuple[TrainState, dict[str, str]]:
    """The state before the first step, and which modality's encoder comes from which file."""
    state = create_state(experiment.model, tx, first, seed=experiment.seed, ema=experiment.ema)
    if stored.steps(run):  # weights are where a training begins; one that goes on needs no file
        return state, {}
    return pretrained.start(state, experiment.model)


def _check_metric(experiment: Experiment, evaluator: Evaluator, fresh: TrainState) -> None:
    """Which metrics there are, only an evaluation knows."""
    if experiment.best_metric == "loss":
        return
    known = evaluator(fresh.variables, "validation")
    if experiment.best_metric not in known:
        raise ValueError(f"--best-metric {experiment.best_metric}: choose from {', '.join(known)}")
