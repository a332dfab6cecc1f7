"""What a training needs before its first step, all of it checked before a file is written."""

import contextlib
import copy
import dataclasses
import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mmjax.config import Experiment, sweep
from mmjax.data.pipeline import buckets
from mmjax.data.pipeline.batches import held, train_batches, train_picks
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import parallel
from mmjax.devices.processes import Watchdog
from mmjax.evaluation.evaluator import Evaluator
from mmjax.models.train_state import TrainState, create_state
from mmjax.runs import checkpoint_reader
from mmjax.train.loop import lengths, multi_step
from mmjax.train.loop.compatibility import require_agreement, require_labels
from mmjax.train.step.step import train_step
from mmjax.types import WeightedMean
from mmjax.weights import start


class Setup:
    """Data, fresh state, compiled step and evaluator of an experiment.

    Raises:
        ValueError: the configuration cannot be; says which flag.
        FileNotFoundError: data or weights are not where they should be.
    """

    def __init__(self, experiment: Experiment, run: Path, mesh: Mesh | None = None) -> None:
        """`mesh`: the devices, where not those that share a batch."""
        self.mesh = mesh or parallel.choose(
            experiment.batch_size,
            experiment.devices,
            parts=experiment.accumulate,
            fsdp=experiment.fsdp,
        )
        self._experiment = experiment
        experiment.data.prepare()
        self.preprocessing = _preprocessing(experiment, run)
        source = experiment.data.source("train")
        self.epoch = len(source)
        self._read = {
            "source": source,
            "preprocessing": self.preprocessing,
            "batch_size": experiment.batch_size,
            "share": parallel.share(),
        }
        require_agreement(experiment, self.preprocessing)
        batches = train_batches(experiment.data, **self._read, seed=experiment.seed, start=0)
        with contextlib.closing(batches):
            self._first = next(batches)
        require_labels(experiment, self._first)
        # Weights are where a training begins; one that goes on needs no file.
        self.fresh, self.files = self.begin(
            experiment.seed, weights=not checkpoint_reader.steps(run)
        )
        self._held = None
        if experiment.steps_per_call > 1:
            self._held = held(experiment.data, source, self.preprocessing)
        self.lengths = buckets.expected(self.preprocessing, experiment.buckets)
        self._step = _step(experiment)
        self.evaluator = Evaluator(experiment, self.preprocessing, parallel.local(self.mesh))
        jax.eval_shape(functools.partial(self._step, axis=None), self.fresh, self._first)
        _check_metric(experiment, self.evaluator, self.fresh)

    def begin(self, seed: int, *, weights: bool = True) -> tuple[TrainState, dict[str, str]]:
        """The state before the first step, and which modality's encoder comes from which file."""
        state = self._begin(dataclasses.replace(self._experiment, seed=seed))
        return start.start(state, self._experiment.model) if weights else (state, {})

    def _begin(self, experiment: Experiment) -> TrainState:
        return create_state(
            experiment.model,
            experiment.update(),
            self._first,
            seed=experiment.seed,
            ema=experiment.ema,
        )

    @functools.cached_property
    def update(self) -> Callable[[TrainState, Any], tuple[TrainState, dict[str, WeightedMean]]]:
        """The state after what `stream` gives, in place of the one before, and the sums."""
        wrapper = parallel.WRAPPERS[self._experiment.parallel]
        if self._experiment.fsdp > 1:
            wrapper = functools.partial(parallel.jit, like=jax.eval_shape(lambda: self.fresh))
        return self._wrapped(wrapper)

    def updates(
        self, paths: Sequence[str]
    ) -> Callable[[TrainState, Any], tuple[TrainState, dict[str, WeightedMean]]]:
        """Likewise of several trainings, `[training, ...]`, given (stream's, {path: number})."""

        def step(state: TrainState, given: Any, *held: Any, axis: None) -> Any:
            batch, values = given
            one = _step(sweep.traced(self._experiment, values)) if paths else self._step
            return self._several(one)(state, batch, *held, axis=axis)

        return parallel.apart(step, self.mesh, donate=True, held=self._held)

    def measuring(self, experiment: Experiment) -> "Setup":
        """This, with the evaluator of another training on the same data."""
        own = copy.copy(self)
        mine = self._experiment.model, self._experiment.objectives
        if (experiment.model, experiment.objectives) != mine:
            own.evaluator = Evaluator(experiment, self.preprocessing, parallel.local(self.mesh))
        return own

    def require_one_program(
        self, trainings: Sequence[tuple[Mapping[str, float], Experiment]]
    ) -> None:
        """ValueError where a training cannot be, or is not this one's program with other inputs."""
        expected = jax.tree.structure(self.fresh)
        for values, experiment in trainings:
            named = ", ".join(f"{path}={sweep.written(value)}" for path, value in values.items())
            state = jax.eval_shape(lambda: self._begin(experiment))  # noqa: B023
            jax.eval_shape(functools.partial(_step(experiment), axis=None), state, self._first)
            if jax.tree.structure(state) != expected:
                raise ValueError(f"--sweep {named}: another program than the first: train it alone")
        for path in trainings[0][0]:
            try:
                jax.eval_shape(
                    lambda value: _step(sweep.traced(self._experiment, {path: value}))(  # noqa: B023
                        self.fresh, self._first, axis=None
                    ),
                    np.float32(0),
                )
            except jax.errors.ConcretizationTypeError as error:
                raise ValueError(
                    f"--sweep {path}: the program itself depends on it: train one after the other"
                ) from error

    def _wrapped(self, wrapper: Callable) -> Callable:
        several = self._experiment.steps_per_call > 1
        step = self._several(self._step)
        return wrapper(step, self.mesh, donate=True, stacked=several, held=self._held)

    def _several(self, step: Callable) -> Callable:
        return multi_step.scanned(step) if self._experiment.steps_per_call > 1 else step

    def stream(
        self,
        *,
        start: int,
        workers: int = 0,
        seed: int | None = None,
        watchdog: Watchdog | None = None,
    ) -> Generator[Any, None, None]:
        """What `update` takes, from step `start` on; of the experiment's seed or another.

        `watchdog`: where other processes are waited for.
        """
        experiment = self._experiment
        seed = experiment.seed if seed is None else seed
        read = {**self._read, "seed": seed, "start": start, "workers": workers}
        if experiment.steps_per_call == 1:
            if experiment.buckets == 1 or parallel.share()[1] == 1:
                return train_batches(experiment.data, **read, buckets=experiment.buckets)
            whole = train_batches(experiment.data, **read)
            watchdog = watchdog or Watchdog(None)
            return lengths.alike(whole, self.preprocessing, experiment.buckets, watchdog)
        if self._held is None:
            batches: Generator[Any, None, None] = train_batches(experiment.data, **read)
        else:
            batches = train_picks(**read)
        return multi_step.stacked(
            batches, start=start, steps=experiment.steps, size=experiment.steps_per_call
        )


def _step(experiment: Experiment) -> Callable:
    """Of this experiment, without its devices."""
    return functools.partial(
        train_step,
        model=experiment.model,
        objectives=experiment.objectives,
        tx=experiment.update(),
        balance=experiment.balance,
        ema=experiment.ema,
        guard=experiment.on_nonfinite != "ignore",
        accumulate=experiment.accumulate,
    )


def _preprocessing(experiment: Experiment, run: Path) -> Preprocessing:
    """The run's own, or fitted anew where it has none yet."""
    try:
        return Preprocessing.load(run)
    except FileNotFoundError:
        return experiment.data.preprocessing()


def _check_metric(experiment: Experiment, evaluator: Evaluator, fresh: TrainState) -> None:
    """Which metrics there are, only an evaluation knows."""
    if experiment.best_metric == "loss":
        return
    known = evaluator.names(fresh.variables, "validation")
    if experiment.best_metric not in known:
        raise ValueError(f"--best-metric {experiment.best_metric}: choose from {', '.join(known)}")
