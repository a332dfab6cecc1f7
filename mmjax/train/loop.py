"""The training loop: from an Experiment and a folder to a trained, evaluated, restorable run."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh
from rich.console import Console

from mmjax.config import Experiment
from mmjax.data.pipeline import train_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.train import curves, folder, parallel, pretrained, trainable
from mmjax.train.agreement import require_agreement
from mmjax.train.checkpoint import Checkpoints, begun
from mmjax.train.evaluator import Evaluator
from mmjax.train.log import Log
from mmjax.train.meter import Meter
from mmjax.train.state import TrainState, create_state
from mmjax.train.step import train_step
from mmjax.train.stop import Interrupted, Stop
from mmjax.types import Batch, Sums


def fit(experiment: Experiment, run: str | Path) -> dict[str, float]:
    """Train in the folder `run`, or go on where it stopped; returns the metrics of the test split.

    Raises:
        ValueError: the folder holds another experiment, or the configuration cannot be.
        Interrupted: Ctrl-C or SIGTERM, after the state was saved.
    """
    run = Path(run)
    folder.check(run, experiment)
    parallel.request_host_devices(experiment.batch_size, experiment.devices)
    mesh = parallel.choose(experiment.batch_size, experiment.devices)
    experiment.data.prepare()
    preprocessing = _preprocessing(experiment, run)
    source = experiment.data.source("train")
    stream = functools.partial(
        train_batches,
        experiment.data,
        source,
        preprocessing,
        batch_size=experiment.batch_size,
        seed=experiment.seed,
    )
    tx = experiment.update()
    require_agreement(experiment, preprocessing)
    with contextlib.closing(stream(start=0)) as batches:
        first = next(batches)
    now, files = _fresh(experiment, run, tx, first)
    step = functools.partial(
        train_step,
        model=experiment.model,
        objectives=experiment.objectives,
        tx=tx,
        balance=experiment.balance,
    )
    update = parallel.WRAPPERS[experiment.parallel](step, mesh)
    evaluator = Evaluator(experiment, preprocessing, mesh)

    # All that can be wrong with a configuration shows itself before the folder is claimed for it.
    jax.eval_shape(functools.partial(step, axis=None), now, first)
    _check_metric(experiment, evaluator, now)
    folder.claim(run, experiment, functools.partial(print, file=sys.stderr))
    preprocessing.save(run)
    Console(stderr=True).print(trainable.table(trainable.rows(now.params, experiment, files)))
    with Checkpoints(
        run, keep=experiment.keep, best=experiment.best_metric, mode=experiment.best_mode
    ) as checkpoints:
        now, progress = _resumed(parallel.replicate(now, mesh), checkpoints, mesh)
        start = int(now.step)
        with (
            Log(run, experiment.steps, start=start, tensorboard=experiment.tensorboard) as log,
            Stop() as stop,
            contextlib.closing(stream(start=start)) as batches,
        ):
            meter = Meter(log, experiment, epoch=len(source), progress=progress)

            def keep(now: TrainState, due: bool) -> None:
                metrics = None
                if due:
                    with meter.paused():
                        metrics = _validated(evaluator, now)
                    log.record({"step": int(now.step), "split": "validation", **metrics})
                checkpoints.save(now, meter.progress, metrics)

            now = _train(experiment, now, update, batches, meter.read, keep, stop)
            seconds = meter.seconds
    metrics = evaluator(now.variables, "test")
    _finish(run, experiment, now, metrics, seconds)
    return metrics


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
    state = create_state(experiment.model, tx, first, seed=experiment.seed)
    if begun(run):  # weights are where a training begins; one that goes on needs no file
        return state, {}
    return pretrained.start(state, experiment.model)


def _check_metric(experiment: Experiment, evaluator: Evaluator, fresh: TrainState) -> None:
    """Which metrics there are, only an evaluation knows."""
    if experiment.best_metric == "loss":
        return
    known = evaluator(fresh.variables, "validation")
    if experiment.best_metric not in known:
        raise ValueError(f"--best-metric {experiment.best_metric}: choose from {', '.join(known)}")


def _validated(evaluator: Evaluator, now: TrainState) -> dict[str, float]:
    try:
        return evaluator(now.variables, "validation")
    except ValueError as error:
        raise ValueError(
            f"step {int(now.step)} cannot be measured: {error}. If the training diverged, lower "
            "--optim.peak-lr or set --optim.clip-norm; earlier checkpoints are as they were"
        ) from error


def _resumed(
    fresh: TrainState, checkpoints: Checkpoints, mesh: Mesh
) -> tuple[TrainState, dict[str, Any]]:
    """The newest checkpoint's state and progress, or the fresh state."""
    latest = checkpoints.latest()
    if latest is None:
        return fresh, {}
    return checkpoints.restore(fresh, latest, parallel.replicated(mesh))


def _train(
    experiment: Experiment,
    now: TrainState,
    update: Callable,
    batches: Iterator[Batch],
    read: Callable[[int, Mapping[str, Sums]], None],
    keep: Callable[[TrainState, bool], None],
    stop: Stop,
) -> TrainState:
    """All steps that are still to do."""
    unread = None
    for number in range(int(now.step) + 1, experiment.steps + 1):
        now, sums = update(now, next(batches))
        if unread is not None:
            read(*unread)  # of the step before: the devices are busy with this one
        unread = (number, sums)
        due = number % experiment.eval_every == 0 or number == experiment.steps
        asked = stop.signal  # read once: it may change at any moment
        if due or asked is not None:
            read(*unread)
            unread = None
            keep(now, due)
        if asked is not None and number < experiment.steps:
            raise Interrupted(
                f"stopped after step {number} of {experiment.steps} and saved; "
                "run the same command again to go on",
                asked,
            )
    return now


def _finish(
    run: Path, experiment: Experiment, now: TrainState, metrics: dict[str, float], seconds: float
) -> None:
    """Write results.json and the curves."""
    results = {
        "split": "test",
        "step": experiment.steps,
        "parameters": sum(x.size for x in jax.tree.leaves(now.params)),
        "training_minutes": seconds / 60,
        "metrics": metrics,
    }
    folder.write(run / folder.RESULTS, results)
    curves.draw(run)
