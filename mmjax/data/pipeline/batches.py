"""Batches: the order from Grain, the examples from columns in memory, made ahead of their use."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

import grain
import numpy as np

from mmjax.data.dataset import Dataset, Source
from mmjax.data.pipeline.buckets import cut, shortest
from mmjax.data.pipeline.prefetch import prefetch
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Share
from mmjax.errors import UserError
from mmjax.types import AnyArray, Batch, Masked, RowIndices

T = TypeVar("T")
MOST_HELD = 2**31  # bytes of preprocessed columns on each device


def train_batches(
    data: Dataset,
    source: Source,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    seed: int,
    start: int,
    workers: int = 0,
    share: tuple[int, int] = (0, 1),
    buckets: int = 1,
) -> Generator[Batch, None, None]:
    """Batch number `start` and all that follow, without end.

    Every epoch has an order of its own and batches run on across epochs, so no example is lost.
    Batch s depends on (seed, s) alone: a run that stopped after s steps goes on with `start=s`.
    `share=(p, n)` reads the rows of process p of n alone, the p-th n-th of the same batch.
    `workers` processes make the batches, the same ones; 0: a thread. `buckets`: in how many lengths
    texts, sounds and series may come (`buckets.py`), chosen by the rows that are read here.
    """
    order = _Order(source, batch_size, seed, share)
    make = _TrainBatch(data, source, preprocessing, order, buckets)
    return _from(make, start, workers)


def train_rows(
    source: Source,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    seed: int,
    start: int,
    workers: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Generator[RowIndices, None, None]:
    """The batches of `train_batches` as rows of what `held` gives: there is little to make."""
    make = _TrainRows(source, preprocessing, _Order(source, batch_size, seed, share))
    return _from(make, start, workers)


def _from(make: Callable[[int], T], start: int, workers: int) -> Generator[T, None, None]:
    if start < 0:
        raise UserError(f"start: expected a step of 0 or more, got {start}")
    if workers < 0:
        raise UserError(f"workers: expected 0 or more, got {workers}")
    return prefetch(make, itertools.count(start), workers)


class _Order:
    """Which examples a step has, and the generator of what is drawn for them."""

    def __init__(self, source: Source, batch_size: int, seed: int, share: tuple[int, int]) -> None:
        _check(source, batch_size)
        if not 0 <= seed < 2**32:
            raise UserError(f"seed: expected 0 to 2**32 - 1, got {seed}")
        part, parts = share
        if not 0 <= part < parts or batch_size % parts:
            raise UserError(f"share: {share} is no equal share of a batch of {batch_size}")
        self._length, self._batch_size, self._seed, self._share = (
            len(source), batch_size, seed, share,
        )  # fmt: skip

    def __call__(self, step: int) -> tuple[np.ndarray, np.random.Generator, Share]:
        """The examples of the batch, its generator, and which rows of it this process reads."""
        indices = np.asarray(_batched(self._length, self._seed, self._batch_size)[step])
        part, parts = self._share
        size = self._batch_size // parts
        share = Share(self._batch_size, slice(part * size, (part + 1) * size))
        return indices, np.random.default_rng([self._seed, step]), share


@functools.lru_cache(maxsize=8)
def _batched(length: int, seed: int, batch_size: int) -> grain.MapDataset:
    """Of all batches that there will ever be, the examples."""
    return grain.MapDataset.range(length).seed(seed).shuffle().repeat().batch(batch_size)


@dataclasses.dataclass(frozen=True)
class _TrainBatch:
    """A function of the step; a class, so that it can be sent to a worker."""

    data: Dataset
    source: Source
    preprocessing: Preprocessing
    order: _Order
    buckets: int

    def __call__(self, step: int) -> Batch:
        indices, rng, share = self.order(step)
        examples = self.source.read(indices, rng, share.own)
        inputs = self.preprocessing(examples.inputs)
        inputs = self.data.perturb(inputs, self.preprocessing, rng, share)
        indices = share.of(indices)
        bucket = shortest(inputs, self.preprocessing, self.buckets)
        inputs = cut(inputs, self.preprocessing, self.buckets, bucket)
        return _batch(inputs, self.preprocessing.targeted(examples.targets, indices), indices)


@dataclasses.dataclass(frozen=True)
class _TrainRows:
    source: Source
    preprocessing: Preprocessing
    order: _Order

    def __call__(self, step: int) -> RowIndices:
        indices, rng, share = self.order(step)
        rows, targets = self.source.pick(indices, rng, share.own)
        indices = share.of(indices)
        rows = {
            # A modality without a column is missing: the only row there stands for it.
            name: rows.get(name, np.zeros_like(indices)).astype(np.int32)
            for name in self.preprocessing.transforms
        }
        weight = np.ones(len(indices), np.float32)
        found = self.preprocessing.targeted(targets, indices)
        return RowIndices(rows, found, weight, np.asarray(indices, np.int64))


def held(data: Dataset, source: Source, preprocessing: Preprocessing) -> dict[str, Masked] | None:
    """All rows of each modality, preprocessed: what `RowIndices` point into.

    None where training examples are not rows as such, or would take more than `MOST_HELD` bytes.
    """
    columns = None if data.perturbs else source.columns()
    if columns is None:
        return None
    size = 0
    for name, transform in preprocessing.transforms.items():
        rows = columns.get(name, [None])
        one = transform(rows[:1])
        size += len(rows) * (np.asarray(one.values).nbytes + np.asarray(one.mask).nbytes)
    if size > MOST_HELD:
        return None
    return {
        name: transform(columns.get(name, [None]))
        for name, transform in preprocessing.transforms.items()
    }


def eval_batches(
    source: Source, preprocessing: Preprocessing, *, batch_size: int, rows: range | None = None
) -> Generator[Batch, None, None]:
    """Every example once, in order; the last batch is filled up with rows of weight 0, id -1.

    `rows`: the run of examples to read, where not all.
    """
    _check(source, batch_size)
    rows = range(len(source)) if rows is None else rows

    def batch(first: int) -> Batch:
        indices = np.arange(first, min(first + batch_size, rows.stop))
        examples = source.read(indices, None)
        targets = preprocessing.targeted(examples.targets, indices)
        found = _batch(preprocessing(examples.inputs), targets, indices)
        return _filled(found, batch_size)

    return prefetch(batch, rows[::batch_size])


def _check(source: Source, batch_size: int) -> None:
    if batch_size < 1:
        raise UserError(f"batch_size: expected at least 1, got {batch_size}")
    if len(source) == 0:
        raise UserError("source: expected at least one example, got none")


def _batch(inputs: dict[str, Masked], targets: dict[str, Masked], indices: np.ndarray) -> Batch:
    for name, rows in inputs.items():
        if len(rows.mask) != len(indices):
            raise UserError(f"{name}: expected {len(indices)} rows, got {len(rows.mask)}")
    return Batch(
        inputs=inputs,
        targets=targets,
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

    def filled(rows: Mapping[str, Masked]) -> dict[str, Masked]:
        return {name: Masked(fill(x.values), fill(x.mask)) for name, x in rows.items()}

    return Batch(
        inputs=filled(batch.inputs),
        targets=filled(batch.targets),
        weight=fill(batch.weight),
        ids=fill(batch.ids, -1),
    )
