"""The update of a training, with those who look at what goes into it and at when it runs."""

from collections.abc import Callable
from typing import Any

from mmjax.models.train_state import TrainState
from mmjax.train.loop import multi_step
from mmjax.train.loop.profile import Profile
from mmjax.train.loop.recompile import Watch
from mmjax.types import WeightedMean

Update = Callable[[int, TrainState, Any], tuple[TrainState, dict[str, WeightedMean]]]


def observed(update: Callable, shapes: Watch, profile: Profile) -> Update:
    """(steps made before, state, batch or batches) -> what `update` makes of state and batch."""

    def call(
        before: int, now: TrainState, batch: Any
    ) -> tuple[TrainState, dict[str, WeightedMean]]:
        last = before + multi_step.count(batch.ids)
        if batch.ids.ndim == 1:  # of several steps the first and the last call may be short ones
            shapes(last, batch)
        profile.before(before + 1, last, now)
        made = update(now, batch)
        profile.after(last, made)
        return made

    return call
