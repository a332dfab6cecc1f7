"""The training loop: from an Experiment and a folder to a trained, evaluated, restorable run."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from mmjax.config import Experiment
from mmjax.config.span import Span
from mmjax.devices import parallel, processes, sharding
from mmjax.devices.failure import explained
from mmjax.devices.processes import Watchdog
from mmjax.io import json_file
from mmjax.models.train_state import TrainState
from mmjax.runs import checkpoint_reader, curves, folder, lock
from mmjax.runs.stop import Interrupted, Stop
from mmjax.train.loop import multi_step, recompile, trainable
from mmjax.train.loop.observed import Update, observed
from mmjax.train.loop.profile import Profile
from mmjax.train.loop.recorder import Keeper
from mmjax.train.loop.setup import Setup
from mmjax.types import WeightedMean

_say = functools.partial(print, file=sys.stderr)


def fit(
    experiment: Experiment,
    run: str | Path,
    *,
    timeout: float | None = None,
    profile: Span | None = None,
) -> dict[str, float]:
    """Train in the folder `run`, or go on where it stopped; returns the metrics of the test split.

    Every process of a distributed training calls it with the same arguments. One that waits for
    the others for more than `timeout` seconds in a step, an evaluation or a save is ended; for
    their preparing of data it waits without end. The steps of `profile` are traced into the run's
    folder.

    Raises:
        ValueError: the folder holds another experiment, or another process trains in it; the
            configuration cannot be; every checkpoint is damaged; the training diverged.
        Interrupted: Ctrl-C or SIGTERM, after the state was saved.
        OSError: the disk does not take what must be written; another process has ended.
        MemoryError: a device does not hold a step.
    """
    run = Path(run)
    with (
        explained(experiment, run),
        lock.Lock(run, _say) as held,
        Watchdog(timeout) as watchdog,
    ):
        folder.check(run, experiment)
        if run.exists() and parallel.primary():
            held.take()
        parallel.request_host_devices(
            experiment.batch_size // experiment.accumulate, experiment.devices
        )
        ready = Setup(experiment, run)
        # All that can be wrong with a configuration has shown itself: claim the folder for it.
        if parallel.primary():
            run.mkdir(parents=True, exist_ok=True)
            held.take()
            folder.check(run, experiment)
            folder.claim(run, experiment, _say)
            ready.preprocessing.save(run)
        processes.require_one_folder(held.token, lambda: lock.read(run).get("token"))
        if not parallel.primary():  # all make the same training
            folder.check(run, experiment)
        return _run(experiment, run, ready, watchdog, profile)


def _run(
    experiment: Experiment, run: Path, ready: Setup, watchdog: Watchdog, span: Span | None
) -> dict[str, float]:
    """Train from the newest whole checkpoint, or from the start, and evaluate."""
    if parallel.primary():
        rows = trainable.rows(ready.fresh.params, experiment, ready.files)
        Console(stderr=True).print(trainable.table(rows))
        if experiment.fsdp > 1:
            Console(stderr=True).print(sharding.table(ready.fresh, experiment.fsdp))
    with watchdog.waiting("the other processes to begin"):
        now, progress = _resumed(run, ready)
    start = int(now.step)
    with (
        Keeper(experiment, run, ready, watchdog, now, progress) as keeper,
        Profile(span, run, keeper.log.say) as profile,
        Stop() as stop,
        contextlib.closing(
            ready.stream(start=start, workers=experiment.workers, watchdog=watchdog)
        ) as batches,
    ):
        update = observed(ready.update, recompile.Watch(keeper.log.say, ready.lengths), profile)
        now = train(experiment, now, update, batches, keeper.read, keeper.keep, stop)
        keeper.wait()
        seconds = keeper.seconds
    metrics = ready.evaluator(now.variables, "test", watchdog)
    if parallel.primary():
        finish(run, experiment, now, metrics, seconds)
    with watchdog.waiting("the other processes to end"):
        processes.barrier("the end")
    return metrics


def _resumed(run: Path, ready: Setup) -> tuple[TrainState, dict[str, Any]]:
    """The newest whole checkpoint's state and progress, or the fresh state."""
    found = checkpoint_reader.resumed(run, ready.fresh, parallel.place(ready.mesh), _say)
    processes.require_same(0 if found is None else found[0])
    if found is None:
        return parallel.put(ready.fresh, ready.mesh), {}
    step, now, progress = found
    if parallel.primary():
        for moved in checkpoint_reader.set_aside(run, step):
            _say(f"the damaged checkpoint was moved to {moved}")
    processes.barrier("set aside")
    return now, progress


def train(
    experiment: Experiment,
    now: TrainState,
    update: Update,
    batches: Iterator[Any],
    read: Callable[[int, Mapping[str, WeightedMean], Any], None],
    keep: Callable[[TrainState, bool], None],
    stop: Stop,
) -> TrainState:
    """All steps that are still to do; `now` is given away."""
    unread = None
    number = int(np.ravel(now.step)[0])  # all of several trainings are at the same
    while number < experiment.steps:
        try:
            batch = next(batches)
        except OSError:
            asked = stop.asked(number)
            if asked is None:
                raise
            # A signal to the whole group of processes has ended the workers too.
            if unread is not None:
                read(*unread)
            keep(now, False)
            raise _interrupted(number, experiment, asked) from None
        now, sums = update(number, now, batch)
        if unread is not None:
            read(*unread)  # of the call before: the devices are busy with this one
        unread = (number, sums, batch)
        number += multi_step.count(batch.ids)
        due = number % experiment.eval_every == 0 or number == experiment.steps
        asked = stop.asked(number)  # once: it may change at any moment
        if due or asked is not None:
            read(*unread)
            unread = None
            keep(now, due)
        if asked is not None and number < experiment.steps:
            raise _interrupted(number, experiment, asked)
    return now


def _interrupted(step: int, experiment: Experiment, asked: int) -> Interrupted:
    return Interrupted(
        f"stopped after step {step} of {experiment.steps} and saved; "
        "run the same command again to go on",
        asked,
    )


def finish(
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
    json_file.write(run / folder.RESULTS, results)
    curves.draw(run)
