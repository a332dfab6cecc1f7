"""The training loop: from an Experiment and a folder to a trained, evaluated, restorable run."""

import contextlib
import functools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mmjax.config import Experiment
from mmjax.data.pipeline import train_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.train import curves, folder, parallel, state
from mmjax.train.checkpoint import Checkpoints
from mmjax.train.evaluator import Evaluator
from mmjax.train.log import Log
from mmjax.train.step import train_step
from mmjax.train.stop import Interrupted, Stop
from mmjax.train.window import Window


def train(experiment: Experiment, run: Path) -> dict[str, float]:
    """Train in the folder `run`, or go on where it stopped; returns the metrics of the test split.

    Raises:
        ValueError: the folder holds another experiment, or the configuration cannot be.
        Interrupted: Ctrl-C or SIGTERM, after the state was saved.
    """
    folder.check(run, experiment)
    parallel.request_host_devices(experiment.batch_size, experiment.devices)
    devices = parallel.choose(experiment.batch_size, experiment.devices)
    experiment.data.prepare()
    preprocessing = _preprocessing(experiment, run)
    folder.claim(run, experiment, print)
    preprocessing.save(run)
    evaluator = Evaluator(experiment, preprocessing, devices)
    with contextlib.closing(
        Checkpoints(
            run,
            keep=experiment.keep,
            best=experiment.best_metric,
            mode=experiment.best_mode,
        )
    ) as checkpoints:
        final, seconds = _fit(experiment, run, preprocessing, evaluator, checkpoints, devices)
    metrics = evaluator(final.variables, "test")
    results = {
        "split": "test",
        "step": experiment.steps,
        "parameters": sum(x.size for x in jax.tree.leaves(final.params)),
        "training_minutes": seconds / 60,
        "metrics": metrics,
    }
    text = json.dumps(results, indent=2) + "\n"
    (run / folder.RESULTS).write_text(text, encoding="utf-8")
    curves.draw(run)
    return metrics


def _preprocessing(experiment: Experiment, run: Path) -> Preprocessing:
    """The run's own where it goes on; else fitted to the training split."""
    try:
        return Preprocessing.load(run)
    except FileNotFoundError:
        return experiment.data.preprocessing()


def _fit(
    experiment: Experiment,
    run: Path,
    preprocessing: Preprocessing,
    evaluator: Evaluator,
    checkpoints: Checkpoints,
    devices: list[jax.Device],
) -> tuple[state.TrainState, float]:
    """All steps that are still to do. Returns the final state and the seconds spent on training."""
    steps, batch_size = experiment.steps, experiment.batch_size
    tx = experiment.optim.chain(steps)
    learning_rate = experiment.optim.learning_rate(steps)
    step = functools.partial(
        train_step, model=experiment.model, objectives=experiment.objectives, tx=tx
    )
    update = parallel.WRAPPERS[experiment.parallel](step, devices)

    source = experiment.data.source("train")
    batches = functools.partial(
        train_batches,
        experiment.data,
        source,
        preprocessing,
        batch_size=batch_size,
        seed=experiment.seed,
    )
    with contextlib.closing(batches(start=0)) as probe:
        now = state.create(experiment.model, tx, next(probe), seed=experiment.seed)
    now = parallel.replicate(now, devices)
    progress: dict[str, Any] = {"window": {}, "seconds": 0.0}
    if (latest := checkpoints.latest()) is not None:
        now, progress = checkpoints.restore(now, latest, parallel.replicated(devices))
    start = int(now.step)
    window = Window(progress["window"])
    began = time.perf_counter() - progress["seconds"]

    with (
        Log(run, steps=steps, start=start, tensorboard=experiment.tensorboard) as log,
        Stop() as stop,
        contextlib.closing(batches(start=start)) as stream,
    ):
        if start:
            log.say(f"going on from step {start} of {steps}")

        def read(number: int, sums: Mapping[str, Any]) -> None:
            """Take in the sums of a step; write a line when the window is full."""
            window.add(sums, batch_size)
            log.advance()
            if number % experiment.log_every == 0 or number == steps:
                means = window.flush()
                log.record(
                    {
                        "step": number,
                        "split": "train",
                        "epoch": number * batch_size / len(source),
                        "loss": experiment.total_loss(means),
                        **means,
                        "learning_rate": float(learning_rate(np.int32(number - 1))),
                        "seconds": time.perf_counter() - began,
                    }
                )

        unread = None
        for number in range(start + 1, steps + 1):
            now, sums = update(now, next(stream))
            if unread is not None:
                read(*unread)  # of the step before: the devices are busy with this one
            unread = (number, sums)
            due = number % experiment.eval_every == 0 or number == steps
            if not due and stop.signal is None:
                continue
            read(*unread)
            unread = None
            metrics = None
            if due:
                paused = window.pause()
                metrics = evaluator(now.variables, "validation")
                log.record({"step": number, "split": "validation", **metrics})
                window.go_on(paused)
            seconds = time.perf_counter() - began
            checkpoints.save(now, {"window": window.state, "seconds": seconds}, metrics)
            if stop.signal is not None and number < steps:
                raise Interrupted(
                    f"stopped after step {number} of {steps} and saved; "
                    "run the same command again to go on",
                    stop.signal,
                )
    return now, time.perf_counter() - began
