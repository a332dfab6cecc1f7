"""Of every batch one length for all processes: they must run the same program."""

import contextlib
import dataclasses
from collections.abc import Generator

from mmjax.data.pipeline import buckets
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import processes
from mmjax.devices.watchdog import Watchdog
from mmjax.types import Batch


def alike(
    batches: Generator[Batch, None, None],
    preprocessing: Preprocessing,
    count: int,
    watchdog: Watchdog,
) -> Generator[Batch, None, None]:
    """Each process's share, in the shortest of `count` buckets that loses nothing of any share."""
    with contextlib.closing(batches):
        for batch in batches:
            own = buckets.shortest(batch.inputs, preprocessing, count)
            with watchdog.waiting("the lengths of the other processes' shares"):
                longest = min(processes.gathered(own))
            inputs = buckets.cut(batch.inputs, preprocessing, count, longest)
            yield dataclasses.replace(batch, inputs=inputs)
