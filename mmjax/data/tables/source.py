"""The examples of one split of a table."""

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mmjax.data.dataset import Examples, Picked, Source
from mmjax.data.share import Rng, Share
from mmjax.data.tables.reading import Row
from mmjax.data.transforms.augment import ImageAugment


class Store(abc.ABC):
    """The rows of a table that were read, in memory or on disk."""

    held: bool  # in memory

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of rows."""

    @abc.abstractmethod
    def take(self, places: np.ndarray) -> Sequence[Row]:
        """Rows by their position."""

    def __iter__(self) -> Iterator[Row]:
        """All rows in order, a few at a time."""
        for first in range(0, len(self), 64):
            yield from self.take(np.arange(first, min(first + 64, len(self))))


class Held(Store):
    """Rows in memory."""

    held = True

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, places: np.ndarray) -> Sequence[Row]:
        """Rows by their position."""
        return [self._rows[place] for place in places]


class TableSource(Source):
    """The rows of one split; `order` holds their positions in the store, some perhaps repeatedly.

    `masked` names modalities and targets whose values are not used, by position.
    """

    def __init__(
        self,
        store: Store,
        order: np.ndarray,
        masked: Mapping[int, Sequence[str]],
        *,
        modalities: Sequence[str],
        targets: Sequence[str],
        images: Mapping[str, tuple[int, int, int]],
        augment: ImageAugment,
    ) -> None:
        """`images`: shapes of the modalities whose training rows are augmented."""
        self._store, self._order, self._masked = store, order, masked
        self._modalities, self._targets = modalities, targets
        self._images, self._augment = images, augment
        self.draws = bool(images) and augment != ImageAugment()

    def __len__(self) -> int:
        return len(self._order)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Rows of each modality and of each target."""
        values = self._values(indices[own])
        inputs = {name: values[name] for name in self._modalities}
        if rng is not None and self.draws:
            share = Share(len(indices), own)
            inputs |= {name: self._augmented(inputs, name, rng, share) for name in self._images}
        return Examples(inputs, {name: values[name] for name in self._targets})

    def columns(self) -> dict[str, list[Any]] | None:
        """All rows of each modality; None where images are augmented, or rows are on disk."""
        if not self._store.held or self.draws:
            return None
        values = self._values(np.arange(len(self)))
        return {name: values[name] for name in self._modalities}

    def pick(self, indices: np.ndarray, rng: Rng, own: slice = slice(None)) -> Picked:
        """The indices themselves: nothing is drawn."""
        del rng
        values = self._values(indices[own])
        targets = {name: values[name] for name in self._targets}
        return dict.fromkeys(self._modalities, indices[own]), targets

    def _values(self, indices: np.ndarray) -> dict[str, list[Any]]:
        places = self._order[indices]
        rows = [row.values for row in self._store.take(places)]
        if self._masked:
            gone = [self._masked.get(int(place), ()) for place in places]
            rows = [{**r, **dict.fromkeys(names)} for r, names in zip(rows, gone, strict=True)]
        return {name: [r[name] for r in rows] for name in (*self._modalities, *self._targets)}

    def _augmented(
        self, inputs: Mapping[str, list[Any]], name: str, rng: Rng, share: Share
    ) -> list[np.ndarray | None]:
        """Changes are drawn for every row of the batch, also where its image is missing."""
        blank = np.zeros(self._images[name], np.uint8)
        stack = np.stack([blank if image is None else image for image in inputs[name]])
        changed = self._augment(stack, rng, share)
        return [
            None if old is None else new for old, new in zip(inputs[name], changed, strict=True)
        ]


def balanced(order: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Positions repeated until every class is as frequent as the largest; as evenly as it goes.

    `classes`: the class of each position; None: missing, kept once.
    """
    by_class: dict[Any, list[int]] = {}
    for place, name in zip(order, classes, strict=True):
        by_class.setdefault(name, []).append(place)
    without = by_class.pop(None, [])
    most = max(map(len, by_class.values()), default=0)
    repeated = [np.resize(np.array(places), most) for places in by_class.values()]
    return np.sort(np.concatenate([np.array(without, order.dtype), *repeated]))
