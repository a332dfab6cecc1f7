"""The examples of one split of a user's CSV file."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmjax.data.dataset import Examples, Picked, Source
from mmjax.data.share import Rng, Share
from mmjax.data.tables.csv_file import Row
from mmjax.data.transforms.augment import ImageAugment


class CsvSource(Source):
    """The rows of one split, in the order of the file."""

    def __init__(
        self,
        rows: Sequence[Row],
        modalities: Sequence[str],
        targets: Sequence[str],
        images: Sequence[str],
        augment: ImageAugment,
    ) -> None:
        """`images` are the modalities whose training rows are augmented."""
        self._rows, self._modalities, self._targets = rows, modalities, targets
        self._images, self._augment = images, augment

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Rows of each modality and of each target."""
        inputs = {name: self._values(name, indices[own]) for name in self._modalities}
        if rng is not None:
            inputs |= {name: self._augmented(name, indices, rng, own) for name in self._images}
        return Examples(inputs, self._target_rows(indices[own]))

    def columns(self) -> dict[str, list[Any]] | None:
        """All rows of each modality; None where images are augmented."""
        if self._images and self._augment != ImageAugment():
            return None
        return {name: self._values(name, np.arange(len(self))) for name in self._modalities}

    def pick(self, indices: np.ndarray, rng: Rng, own: slice = slice(None)) -> Picked:
        """The indices themselves: nothing is drawn."""
        del rng
        return dict.fromkeys(self._modalities, indices[own]), self._target_rows(indices[own])

    def _values(self, column: str, indices: np.ndarray) -> list[Any]:
        return [self._rows[i].values[column] for i in indices]

    def _target_rows(self, indices: np.ndarray) -> dict[str, list[Any]]:
        return {name: self._values(name, indices) for name in self._targets}

    def _augmented(
        self, name: str, indices: np.ndarray, rng: Rng, own: slice
    ) -> list[np.ndarray | None]:
        """Changes are drawn for every row of the batch, also where its image is missing."""
        images = self._values(name, indices[own])
        present = (row.values[name] for row in self._rows if row.values[name] is not None)
        blank = np.zeros_like(next(present, np.zeros((1, 1, 1), np.uint8)))
        stack = np.stack([blank if image is None else image for image in images])
        changed = self._augment(stack, rng, Share(len(indices), own))
        return [None if old is None else new for old, new in zip(images, changed, strict=True)]
