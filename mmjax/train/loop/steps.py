"""The steps of a training, launched one ahead of what is read."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mmjax.config import Experiment
from mmjax.errors import StorageError
from mmjax.models.train_state import TrainState
from mmjax.runs.stop import Interrupted, Stop
from mmjax.train.loop import multi_step, recompile
from mmjax.train.loop.profile import Profile
from mmjax.train.loop.program import Program
from mmjax.train.loop.recorder import RunRecorder
from mmjax.types import Batch


def train(
    experiment: Experiment,
    now: TrainState,
    program: Program,
    given: Iterator[Any],
    recorders: Sequence[RunRecorder],
    profile: Profile,
    watch: recompile.Watch,
    stop: Stop,
) -> TrainState:
    """All steps that are still to do; `now` is given away."""

    def read(before: int, means: Any, batch: Any) -> None:
        for recorder, (own, ids) in zip(recorders, program.means(means, batch), strict=True):
            recorder.read(before, own, ids)

    def keep(now: TrainState, due: bool) -> None:
        for recorder, state in zip(recorders, program.split(now), strict=True):
            recorder.keep(state, due)

    unread = None
    number = int(np.ravel(now.step)[0])  # all runs are at the same step
    while number < experiment.steps:
        try:
            batch = next(given)
        except StorageError:
            asked = stop.asked(number)
            if asked is None:
                raise
            # A signal to the whole group of processes has ended the workers too.
            if unread is not None:
                read(*unread)
            keep(now, False)
            raise _interrupted(number, experiment, asked) from None
        last = number + multi_step.count(batch.ids)
        if isinstance(batch, Batch):
            watch(last, batch)
        with profile.around(number + 1, last, now) as made:
            now, means = program.update(now, batch)
            made.append(means)
        if unread is not None:
            read(*unread)  # of the call before: the devices are busy with this one
        unread = (number, means, batch)
        number = last
        due = number % experiment.keeping.eval_every == 0 or number == experiment.steps
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
