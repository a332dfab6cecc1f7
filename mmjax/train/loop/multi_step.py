"""What a compiled call is: one step or several, on batches or on rows that the device holds."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mmjax.models.train_state import TrainState
from mmjax.types import AnyArray, Batch, Masked, MetricName, RowIndices, WeightedMean

Means = Mapping[MetricName, WeightedMean]


def call(step: Callable, several: bool) -> Callable:
    """(state, batch, columns, *, axis) -> new state, means; `several` batches: `[step, ...]`.

    A batch may be `RowIndices` into `columns`, which hold all rows of each modality.
    """

    def steps(
        state: TrainState,
        batches: Batch | RowIndices,
        columns: Mapping[str, Masked] | None = None,
        *,
        axis: str | None,
    ) -> tuple[TrainState, Means]:
        def one(state: TrainState, batch: Batch | RowIndices) -> tuple[TrainState, Means]:
            if columns is not None and isinstance(batch, RowIndices):
                batch = batch.batch(columns)
            return step(state, batch, axis=axis)

        return jax.lax.scan(one, state, batches) if several else one(state, batches)

    return steps


def stacked(
    batches: Generator[Any, None, None], *, start: int, steps: int, size: int
) -> Generator[Any, None, None]:
    """Batches of `size` steps as `[step, batch, ...]`, up to step `steps`.

    A call ends at a multiple of `size`, wherever the run was resumed.
    """
    with contextlib.closing(batches):
        while start < steps:
            count = min(size - start % size, steps - start)
            rows = [next(batches) for _ in range(count)]
            yield jax.tree.map(lambda *x: np.stack(x), *rows)
            start += count


def each(before: int, means: Means, ids: AnyArray) -> Iterator[tuple[int, Means, AnyArray]]:
    """(step, means, ids) of every step of a call that began after step `before`."""
    means = jax.device_get(means)  # all at once
    if ids.ndim == 1:
        yield before + 1, means, ids
        return
    for place in range(len(ids)):
        yield before + 1 + place, jax.tree.map(lambda x, n=place: x[n], means), ids[place]


def count(ids: AnyArray) -> int:
    """Number of steps in a call whose batches have these ids."""
    return 1 if ids.ndim == 1 else len(ids)
