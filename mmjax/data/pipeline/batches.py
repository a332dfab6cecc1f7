"""Batches: the examples of a source in the order of a seed, computed ahead of their use."""

import dataclasses
import itertools
from collections.abc import Callable, Generator
from typing import TypeVar

import jax
import numpy as np

from mmjax.data.dataset import Dataset, Source
from mmjax.data.pipeline.buckets import cut, shortest
from mmjax.data.pipeline.order import examples_at
from mmjax.data.pipeline.poisson import Poisson
from mmjax.data.pipeline.prefetch import prefetch
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng, Share
from mmjax.errors import UserError
from mmjax.types import AnyArray, Batch, Masked, RowIndices

T = TypeVar("T")
MOST_HELD = 2**30  # bytes of preprocessed columns on each device


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
    poisson: Poisson | None = None,
) -> Generator[Batch, None, None]:
    """Batch number `start` and all that follow, without end.

    Every epoch has its own order. Batches continue across epochs, so that no example is lost. Batch
    s is a function of (seed, s), so a run that stopped after s steps continues with `start=s`.

    Args:
        workers: number of processes that compute the batches; 0: `source.threads` threads. The
            batches are equal.
        share: (p, n): read only the p-th of n equal parts of each batch, for process p of n
        buckets: number of lengths of texts, sounds and series (`buckets.py`), chosen by the rows
            that are read here
    """
    order = _Order(len(source), batch_size, seed, share)
    make = _TrainBatch(data, source, preprocessing, order, buckets)
    return _from(make, start, workers, source.threads)


def train_rows(
    source: Source,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    seed: int,
    start: int,
    workers: int = 0,
    share: tuple[int, int] = (0, 1),
    poisson: Poisson | None = None,
) -> Generator[RowIndices, None, None]:
    """The batches of `train_batches` as indices of rows in the result of `held`."""
    order = poisson or _Order(len(source), batch_size, seed, share)
    make = _TrainRows(source, preprocessing, order)
    return _from(make, start, workers)


def _from(
    make: Callable[[int], T], start: int, workers: int, threads: int = 1
) -> Generator[T, None, None]:
    if start < 0:
        raise UserError(f"start: expected a step of 0 or more, got {start}")
    if workers < 0:
        raise UserError(f"workers: expected 0 or more, got {workers}")
    return prefetch(make, itertools.count(start), workers, threads)


@dataclasses.dataclass(frozen=True)
class _Order:
    """The examples of a step, the generator of its random numbers, and the own rows."""

    length: int
    batch_size: int
    seed: int
    share: tuple[int, int]

    def __post_init__(self) -> None:
        _check(self.length, self.batch_size)
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed: expected 0 to 2**32 - 1, got {self.seed}")
        part, parts = self.share
        if not 0 <= part < parts or self.batch_size % parts:
            raise UserError(
                f"share: {self.share} is no equal share of a batch of {self.batch_size}"
            )

    def __call__(self, step: int) -> tuple[np.ndarray, Rng, Share]:
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        indices = examples_at(places, self.length, self.seed)
        part, parts = self.share
        size = self.batch_size // parts
        share = Share(self.batch_size, slice(part * size, (part + 1) * size))
        return indices, np.random.default_rng([self.seed, step]), share


@dataclasses.dataclass(frozen=True)
class _TrainBatch:
    """A function of the step; a class, so that it can be sent to a worker."""

    data: Dataset
    source: Source
    preprocessing: Preprocessing
    order: _Order | Poisson
    buckets: int

    def __call__(self, step: int) -> Batch:
        indices, rng, share = self.order(step)
        examples = self.source.read(np.maximum(indices, 0), rng, share.own)
        inputs = self.preprocessing.read(examples.inputs)
        inputs = self.data.perturb(inputs, self.preprocessing, rng, share)
        bucket = shortest(inputs, self.preprocessing, self.buckets)
        inputs = cut(inputs, self.preprocessing, self.buckets, bucket)
        indices = share.of(indices)
        return _batch(inputs, self.preprocessing.targeted(examples.targets, indices), indices)


@dataclasses.dataclass(frozen=True)
class _TrainRows:
    source: Source
    preprocessing: Preprocessing
    order: _Order | Poisson

    def __call__(self, step: int) -> RowIndices:
        indices, rng, share = self.order(step)
        rows, targets = self.source.pick(np.maximum(indices, 0), rng, share.own)
        indices = share.of(indices)
        # A modality without a column has one row in `held`, which is missing.
        nothing = np.zeros_like(indices)
        return RowIndices(
            {n: rows.get(n, nothing).astype(np.int32) for n in self.preprocessing.transforms},
            self.preprocessing.targeted(targets, indices),
            (indices >= 0).astype(np.float32),
            np.asarray(indices, np.int64),
        )


def held(data: Dataset, source: Source, preprocessing: Preprocessing) -> dict[str, Masked] | None:
    """All preprocessed rows of each modality, which `RowIndices` refer to.

    None where training examples are drawn or augmented, or take more than `MOST_HELD` bytes.
    """
    columns = None if data.perturbs else source.columns()
    if columns is None:
        return None
    rows = {name: columns.get(name, [None]) for name in preprocessing.transforms}
    size = 0
    for name, transform in preprocessing.transforms.items():
        one = transform(rows[name][:1])
        size += len(rows[name]) * (np.asarray(one.values).nbytes + np.asarray(one.mask).nbytes)
    if size > MOST_HELD:
        return None
    return {name: transform(rows[name]) for name, transform in preprocessing.transforms.items()}


def eval_batches(
    source: Source, preprocessing: Preprocessing, *, batch_size: int, rows: range | None = None
) -> Generator[Batch, None, None]:
    """Every example once, in order; the last batch is padded with rows of weight 0 and id -1.

    `rows`: the examples to read, by default all.
    """
    _check(len(source), batch_size)
    rows = range(len(source)) if rows is None else rows

    def batch(first: int) -> Batch:
        indices = np.arange(first, min(first + batch_size, rows.stop))
        examples = source.read(indices, None)
        targets = preprocessing.targeted(examples.targets, indices)
        inputs = preprocessing.read(examples.inputs)
        return _padded(_batch(inputs, targets, indices), batch_size)

    return prefetch(batch, rows[::batch_size], threads=source.threads)


def _check(length: int, batch_size: int) -> None:
    if batch_size < 1:
        raise UserError(f"batch_size: expected at least 1, got {batch_size}")
    if length == 0:
        raise UserError("source: expected at least one example, got none")


def _batch(inputs: dict[str, Masked], targets: dict[str, Masked], indices: np.ndarray) -> Batch:
    for name, rows in inputs.items():
        if len(rows.mask) != len(indices):
            raise UserError(f"{name}: expected {len(indices)} rows, got {len(rows.mask)}")
    weight = (indices >= 0).astype(np.float32)
    return Batch(inputs, targets, weight, np.asarray(indices, np.int64))


def _padded(batch: Batch, size: int) -> Batch:
    surplus = size - len(batch.ids)
    if not surplus:
        return batch

    def pad(rows: AnyArray, value: int = 0) -> np.ndarray:
        axes = [(0, surplus)] + [(0, 0)] * (rows.ndim - 1)
        return np.pad(np.asarray(rows), axes, constant_values=value)

    return jax.tree.map(pad, batch).replace(ids=pad(batch.ids, -1))
