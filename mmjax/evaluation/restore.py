"""A run's folder back into a model: no data, no script, and any devices."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flax import linen as nn

from mmjax.data.preprocessing import Preprocessing
from mmjax.train import folder
from mmjax.train.checkpoint import Checkpoints


class Restored(NamedTuple):
    """`model.apply(variables, preprocessing({"image": [...], ...}), train=False)` gives outputs."""

    model: nn.Module
    variables: dict[str, Any]  # NumPy arrays
    preprocessing: Preprocessing


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Orbax warns that what is opened for reading can only be read."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def restore(run: str | Path, checkpoint: str | int = "last") -> Restored:
    """The model of a run, its variables and its preprocessing.

    `checkpoint` is "last", "best" (by the run's validation metric) or the number of a step.

    Raises:
        ValueError: the folder is not a run's, or has no such checkpoint; says which it has.
    """
    run = Path(run)
    experiment = folder.require(run)
    with (
        _quiet(),
        Checkpoints(
            run, best=experiment.best_metric, mode=experiment.best_mode, read_only=True
        ) as checkpoints,
    ):
        steps = checkpoints.steps()
        if not steps:
            raise ValueError(f"{run} has no finished checkpoint; run its training again to go on")
        match checkpoint:
            case "last":
                step = steps[-1]
            case "best":
                step = checkpoints.best() or steps[-1]
            case _:
                step = int(checkpoint) if str(checkpoint).isdecimal() else -1
        if step not in steps:
            raise ValueError(
                f"{run}: no checkpoint {checkpoint!r}; choose from last, best, "
                + ", ".join(map(str, steps))
            )
        variables = checkpoints.arrays(step, "variables")
    return Restored(experiment.model, variables, Preprocessing.load(run))
