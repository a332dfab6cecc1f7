"""Several steps, or trainings, in one compiled program: small ones do not wait for Python."""

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mmjax.models.train_state import TrainState
from mmjax.types import AnyArray, Batch, Masked, MetricName, RowIndices, WeightedMean


def scanned(step: Callable) -> Callable:
    """(state, [step, batch, ...], columns) -> state after all steps, sums of each `[step]`.

    A batch may be `RowIndices` out of `columns`, all rows of each modality.
    """

    def steps(
        state: TrainState,
        batches: Batch | RowIndices,
        columns: Mapping[str, Masked] | None = None,
        *,
        axis: str | None,
    ) -> tuple[TrainState, dict[MetricName, WeightedMean]]:
        def one(
            state: TrainState, given: Batch | RowIndices
        ) -> tuple[TrainState, dict[MetricName, WeightedMean]]:
            batch = given if columns is None or isinstance(given, Batch) else given.batch(columns)
            return step(state, batch, axis=axis)

        return jax.lax.scan(one, state, batches)

    return steps


def stacked(
    batches: Generator[Any, None, None], *, start: int, steps: int, size: int
) -> Generator[Any, None, None]:
    """Batches, `size` at a time as `[step, batch, ...]`; the last ones up to `steps` are fewer.

    A call begins at a multiple of `size`, however far the run had come.
    """
    with contextlib.closing(batches):
        while start < steps:
            count = min(size - start % size, steps - start)
            found = [next(batches) for _ in range(count)]
            yield jax.tree.map(lambda *rows: np.stack(rows), *found)
            start += count


def each(
    before: int, sums: Mapping[MetricName, WeightedMean], ids: AnyArray
) -> Iterator[tuple[int, Mapping[MetricName, WeightedMean], AnyArray]]:
    """(step, sums, ids) of every step of a call that came after step `before`."""
    if ids.ndim == 1:
        yield before + 1, sums, ids
        return
    sums = jax.device_get(sums)
    for place in range(len(ids)):
        take = functools.partial(jax.tree.map, lambda x: x[place])  # noqa: B023
        yield before + 1 + place, take(sums), ids[place]


def count(ids: AnyArray) -> int:
    """How many steps a call makes whose batches have these ids."""
    return 1 if ids.ndim == 1 else len(ids)
