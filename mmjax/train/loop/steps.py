"""The loop over steps: each call is launched before the results of the previous one are read."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mmjax.config import Experiment
from mmjax.errors import StorageError
from mmjax.models.train_state import TrainState
from mmjax.runs.stop import Interrupted, Stop
from mmjax.train.loop import multi_step
from mmjax.train.loop.profile import Profile
from mmjax.train.loop.program import Program
from mmjax.train.loop.recorder import RunRecorder


def train(
    experiment: Experiment,
    now: TrainState,
    program: Program,
    batches: Iterator[Any],
    recorders: Sequence[RunRecorder],
    profile: Profile,
    stop: Stop,
) -> TrainState:
    """Make all remaining steps from the state `now`, whose buffers are donated.

    Raises:
        Interrupted: a signal asked to stop; the state was saved.
    """

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
            batch = next(batches)
        except StorageError:
            asked = stop.asked(number)
            if asked is None:
                raise
            # A signal to the whole process group has ended the data workers too.
            if unread is not None:
                read(*unread)
            keep(now, False)
            raise _interrupted(number, experiment, asked) from None
        last = number + multi_step.count(batch.ids)
        with profile.around(number + 1, last, now) as results:
            now, means = program.update(now, batch)
            results.append(means)
        if unread is not None:
            read(*unread)  # while the devices compute the call that was just launched
        unread = (number, means, batch)
        number = last
        due = number % experiment.keeping.eval_every == 0 or number == experiment.steps
        asked = stop.asked(number)  # once: it may change at any time
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
