"""What a training writes down: its log, its checkpoints, and the validations between them."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmjax.config import Experiment
from mmjax.devices import parallel
from mmjax.devices.processes import Watchdog
from mmjax.evaluation.evaluator import Evaluator
from mmjax.models.train_state import TrainState
from mmjax.runs.checkpoint import Checkpoints
from mmjax.runs.log import Log
from mmjax.train.loop import multi_step
from mmjax.train.loop.meter import Meter
from mmjax.train.loop.setup import Setup
from mmjax.train.step import finite
from mmjax.types import WeightedMean


class Keeper:
    """Reads the sums of every step, validates, and saves states in a run's folder.

    A context: what is being saved is on the disk when it ends.
    """

    def __init__(
        self,
        experiment: Experiment,
        run: Path,
        ready: Setup,
        watchdog: Watchdog,
        now: TrainState,
        progress: Mapping[str, Any],
    ) -> None:
        """Goes on from the state `now` and the `progress` that was saved with it."""
        self._experiment, self._ready, self._watchdog = experiment, ready, watchdog
        watch = finite.Watch(
            experiment.on_nonfinite,
            experiment.skip_limit,
            finite.names(now.params),
            in_a_row=progress.get("in_a_row", 0),
        )
        with contextlib.ExitStack() as stack:
            self._checkpoints = stack.enter_context(
                Checkpoints(
                    run,
                    keep=experiment.keep,
                    best=experiment.best_metric,
                    mode=experiment.best_mode,
                )
            )
            self.log = stack.enter_context(
                Log(
                    run,
                    experiment.steps,
                    start=int(now.step),
                    mark=progress.get("log"),
                    tensorboard=experiment.tensorboard,
                    silent=not parallel.primary(),
                )
            )
            self._meter = Meter(self.log, experiment, watch, epoch=ready.epoch, progress=progress)
            self._open = stack.pop_all()

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    @property
    def seconds(self) -> float:
        """Spent on training."""
        return self._meter.seconds

    def read(self, before: int, sums: Mapping[str, WeightedMean], batch: Any) -> None:
        """Take in the sums of a call that came after step `before`; waits for it.

        Raises:
            ValueError: a loss or a gradient is NaN or infinite, and the training is to stop there.
        """
        with self._watchdog.waiting(f"step {before + multi_step.count(batch.ids)}"):
            for step in multi_step.each(before, sums, batch.ids):
                self._meter.read(*step)

    def keep(self, now: TrainState, due: bool) -> None:
        """Save a state; validate it before that where this is `due`.

        Raises:
            ValueError: the state is not finite, or cannot be measured.
            OSError: it, or the one before, could not be written.
        """
        step = int(now.step)
        if self._experiment.on_nonfinite != "ignore":
            parts = {"parameter": now.params, "optimiser": now.opt_state}
            parts |= {"collection": now.collections, "average": now.average}
            finite.require(step, parts)
        metrics = None
        if due:
            with self._meter.paused():
                metrics = _validated(self._ready.evaluator, now, self._watchdog)
            self.log.record({"step": step, "split": "validation", **metrics})
        with self._watchdog.waiting(f"the checkpoint of step {step}"):
            whole = parallel.everywhere(now, self._ready.mesh)
            self._checkpoints.save(whole, self._meter.progress, metrics)

    def wait(self) -> None:
        """Until the last checkpoint is on the disk; OSError if it could not be written."""
        with self._watchdog.waiting("the last checkpoint"):
            self._checkpoints.wait()


def _validated(evaluator: Evaluator, now: TrainState, watchdog: Watchdog) -> dict[str, float]:
    try:
        return evaluator(now.variables, "validation", watchdog)
    except ValueError as error:
        raise ValueError(
            f"step {int(now.step)} cannot be measured: {error}. If the training diverged, lower "
            "--optim.peak-lr or set --optim.clip-norm; earlier checkpoints are as they were"
        ) from error
