"""Batches: the order from Grain, the examples from columns in memory, a thread that runs ahead."""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import grain
import numpy as np

from mmjax.data.dataset import Dataset, Examples, Source
from mmjax.data.preprocessing import Preprocessing
from mmjax.types import AnyArray, Batch, Input

_AHEAD = 4  # batches


def train_batches(
    data: Dataset,
    source: Source,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    seed: int,
    start: int,
) -> Generator[Batch, None, None]:
    """Batch number `start` and all that follow, without end.

    Every epoch has an order of its own and batches run on across epochs, so no example is lost.
    Batch s depends on (seed, s) alone: a run that stopped after s steps goes on with `start=s`.
    """
    _check(source, batch_size)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed: expected 0 to 2**32 - 1, got {seed}")
    if start < 0:
        raise ValueError(f"start: expected a step of 0 or more, got {start}")
    order = grain.MapDataset.range(len(source)).seed(seed).shuffle().repeat().batch(batch_size)

    def batch(step: int) -> Batch:
        indices = np.asarray(order[step])
        rng = np.random.default_rng([seed, step])
        examples = source.read(indices, rng)
        inputs = data.perturb(preprocessing(examples.inputs), preprocessing, rng)
        return _batch(inputs, examples, indices)

    return _ahead(batch, itertools.count(start))


def eval_batches(
    source: Source, preprocessing: Preprocessing, *, batch_size: int
) -> Generator[Batch, None, None]:
    """Every example once, in order; the last batch is filled up with rows of weight 0, id -1."""
    _check(source, batch_size)

    def batch(first: int) -> Batch:
        indices = np.arange(first, min(first + batch_size, len(source)))
        examples = source.read(indices, None)
        found = _batch(preprocessing(examples.inputs), examples, indices)
        return _filled(found, batch_size)

    return _ahead(batch, range(0, len(source), batch_size))


def _check(source: Source, batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    if len(source) == 0:
        raise ValueError("source: expected at least one example, got none")


def _ahead(make: Callable[[int], Batch], steps: Iterable[int]) -> Generator[Batch, None, None]:
    """make(step) for each step, computed in a thread that ends when the generator is closed."""
    pending: deque[Future[Batch]] = deque()
    # One thread: the work holds Python's lock for most of its time.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as thread:
        try:
            for step in steps:
                pending.append(thread.submit(make, step))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for batch in pending:
                batch.cancel()


def _batch(inputs: dict[str, Input], examples: Examples, indices: np.ndarray) -> Batch:
    for name, labels in examples.labels.items():
        if len(labels) != len(indices):
            raise ValueError(f"labels {name!r}: expected {len(indices)} rows, got {len(labels)}")
        binary = not np.issubdtype(labels.dtype, np.floating) or np.isin(labels, (0, 1))
        if not np.all(binary):
            row = int(np.argwhere(~np.asarray(binary))[0][0])
            raise ValueError(
                f"labels {name!r}: expected 0 or 1, got {labels[row]} in example {indices[row]}"
            )
    for name, rows in inputs.items():
        if len(rows.mask) != len(indices):
            raise ValueError(f"{name}: expected {len(indices)} rows, got {len(rows.mask)}")
    return Batch(
        inputs=inputs,
        labels=examples.labels,
        weight=np.ones(len(indices), np.float32),
        ids=np.asarray(indices, np.int64),
    )


def _filled(batch: Batch, size: int) -> Batch:
    surplus = size - len(batch.ids)

    def fill(rows: AnyArray, value: int = 0) -> np.ndarray:
        axes = [(0, surplus)] + [(0, 0)] * (rows.ndim - 1)
        return np.pad(np.asarray(rows), axes, constant_values=value)

    if not surplus:
        return batch
    return Batch(
        inputs={
            name: Input(fill(rows.values), fill(rows.mask)) for name, rows in batch.inputs.items()
        },
        labels={name: fill(rows) for name, rows in batch.labels.items()},
        weight=fill(batch.weight),
        ids=fill(batch.ids, -1),
    )
