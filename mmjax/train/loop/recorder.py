"""Records a training: its log, its validations and its checkpoints."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from mmjax.config import Experiment
from mmjax.devices import parallel, sharding
from mmjax.devices.watchdog import Watchdog
from mmjax.errors import UserError
from mmjax.evaluation.evaluator import Evaluator
from mmjax.io import json_file
from mmjax.models.train_state import TrainState
from mmjax.runs import checkpoint_reader, folder, trackers
from mmjax.runs.checkpoint import Checkpoints
from mmjax.runs.log import Log
from mmjax.train.loop import multi_step
from mmjax.train.loop.meter import Meter
from mmjax.train.step import finite
from mmjax.types import MetricName, WeightedMean


class RunRecorder:
    """Reads the means of every step, validates, and saves states in a run's folder.

    A context: when it ends, the last checkpoint is on disk.
    """

    def __init__(
        self,
        experiment: Experiment,
        run: Path,
        evaluator: Evaluator,
        watchdog: Watchdog,
        now: TrainState,
        progress: Mapping[str, Any],
        *,
        epoch: int,
    ) -> None:
        """Starts at the state `now` with the `progress` that was saved with it, if any.

        `epoch`: examples of the training split.
        """
        self._experiment, self._run = experiment, run
        self._evaluator, self._watchdog = evaluator, watchdog
        self._read_back = bool(checkpoint_reader.steps(run))
        keeping, compute = experiment.keeping, experiment.compute
        with contextlib.ExitStack() as stack:
            self._checkpoints = stack.enter_context(
                Checkpoints(
                    run, keep=keeping.keep, best=keeping.best_metric, mode=keeping.best_mode
                )
            )
            self.log = stack.enter_context(
                Log(
                    run,
                    experiment.steps,
                    start=int(now.step),
                    mark=progress.get("log"),
                    trackers=_trackers(experiment, run, int(now.step)),
                    silent=not parallel.primary(),
                )
            )
            names, in_a_row = finite.names(now.params), progress.get("in_a_row", 0)
            watch = finite.Watch(compute.on_nonfinite, compute.skip_limit, names, in_a_row)
            self._meter = Meter(self.log, experiment, watch, epoch=epoch, progress=progress)
            self._open = stack.pop_all()

    def __enter__(self) -> "RunRecorder":
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    @property
    def seconds(self) -> float:
        """Training time."""
        return self._meter.seconds

    @property
    def joules(self) -> float | None:
        """Energy of the training, as far as this machine counts it."""
        return self._meter.joules

    def read(self, before: int, means: Mapping[MetricName, WeightedMean], batch: Any) -> None:
        """Add the means of a call that began after step `before`; waits for it.

        Raises:
            NonFiniteError: a loss or a gradient is NaN or infinite, and the training must stop.
        """
        with self._watchdog.waiting(f"step {before + multi_step.count(batch.ids)}"):
            for step in multi_step.each(before, means, batch.ids):
                self._meter.read(*step)

    def keep(self, now: TrainState, due: bool) -> None:
        """Save a state, after validating it if `due`.

        The first checkpoint of a run is read back, to be sure that it can be restored.

        Raises:
            UserError: the state is not finite, or cannot be validated or written.
        """
        step = int(now.step)
        # One copy for the check, the fingerprints and the file.
        kept = sharding.on_host(now) if jax.process_count() == 1 else now
        if self._experiment.compute.on_nonfinite != "ignore":
            parts = {"parameter": kept.params, "optimiser": kept.opt_state}
            parts |= {"collection": kept.collections, "average": kept.average}
            finite.require(step, parts)
        metrics = None
        if due:
            with self._meter.paused():
                metrics = self._validated(now)
            self.log.record({"step": step, "split": "validation", **metrics})
        with self._watchdog.waiting(f"the checkpoint of step {step}"):
            self._checkpoints.save(kept, self._meter.progress, metrics)
            if not self._read_back:
                self._checkpoints.wait()
                # In every process: Orbax waits for all of them before it reads.
                checkpoint_reader.arrays(self._run, step, "variables")
                self._read_back = True

    def wait(self) -> None:
        """Wait until the last checkpoint is on disk; UserError if it could not be written."""
        with self._watchdog.waiting("the last checkpoint"):
            self._checkpoints.wait()

    def _validated(self, now: TrainState) -> dict[str, float]:
        try:
            return self._evaluator(now.variables, "validation", self._watchdog)
        except UserError as error:
            raise UserError(
                f"step {int(now.step)} cannot be validated: {error}. If the training diverged, "
                "lower --optim.peak-lr or set --optim.clip-norm; earlier checkpoints are intact"
            ) from error


def _trackers(
    experiment: Experiment, run: Path, start: int
) -> list[Callable[[], trackers.Tracker]]:
    """What shows the log beside its file, as the experiment says."""
    found, project = [], experiment.keeping.wandb
    if experiment.keeping.tensorboard:
        found.append(lambda: trackers.TensorBoard(run, start))
    if project is not None:
        config = json_file.read(run / folder.CONFIG)
        found.append(lambda: trackers.WeightsAndBiases(run, project, config))
    return found
