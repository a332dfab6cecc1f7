"""Batches: the order from Grain, the examples from columns in memory, made ahead of their use."""

import dataclasses
import functools
import itertools
from collections.abc import Generator

import grain
import numpy as np

from mmjax.data.ahead import ahead
from mmjax.data.buckets import cut
from mmjax.data.dataset import Dataset, Examples, Source
from mmjax.data.preprocessing import Preprocessing
from mmjax.types import AnyArray, Batch, Input


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
    `share=(p, n)` gives the rows of process p of n, the p-th n-th of the same batch. `workers`
    processes make the batches, the same ones; 0: a thread. `buckets`: in how many lengths texts,
    sounds and series may come (`buckets.py`).
    """
    _check(source, batch_size)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed: expected 0 to 2**32 - 1, got {seed}")
    if start < 0:
        raise ValueError(f"start: expected a step of 0 or more, got {start}")
    if workers < 0:
        raise ValueError(f"workers: expected 0 or more, got {workers}")
    part, parts = share
    if not 0 <= part < parts or batch_size % parts:
        raise ValueError(f"share: {share} is no equal share of a batch of {batch_size}")
    make = _TrainBatch(data, source, preprocessing, batch_size, seed, share, buckets)
    return ahead(make, itertools.count(start), workers)


@dataclasses.dataclass(frozen=True)
class _TrainBatch:
    """A function of the step; a class, so that it can be sent to a worker."""

    data: Dataset
    source: Source
    preprocessing: Preprocessing
    batch_size: int
    seed: int
    share: tuple[int, int]
    buckets: int

    def __call__(self, step: int) -> Batch:
        indices = np.asarray(_order(len(self.source), self.seed, self.batch_size)[step])
        rng = np.random.default_rng([self.seed, step])
        examples = self.source.read(indices, rng)
        inputs = self.data.perturb(self.preprocessing(examples.inputs), self.preprocessing, rng)
        inputs = cut(inputs, self.preprocessing, self.buckets)  # of the whole batch
        batch = _batch(inputs, examples, indices)
        # Of the whole batch, so that what is drawn does not depend on how many share it.
        part, parts = self.share
        size = self.batch_size // parts
        rows = slice(part * size, (part + 1) * size)
        return Batch(
            inputs={k: Input(x.values[rows], x.mask[rows]) for k, x in batch.inputs.items()},
            labels={name: labels[rows] for name, labels in batch.labels.items()},
            weight=batch.weight[rows],
            ids=batch.ids[rows],
        )


@functools.lru_cache(maxsize=8)
def _order(length: int, seed: int, batch_size: int) -> grain.MapDataset:
    """Of all batches that there will ever be, the examples."""
    return grain.MapDataset.range(length).seed(seed).shuffle().repeat().batch(batch_size)


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

    return ahead(batch, range(0, len(source), batch_size))


def _check(source: Source, batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    if len(source) == 0:
        raise ValueError("source: expected at least one example, got none")


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
