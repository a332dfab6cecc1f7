"""The match task: an image and something of another modality, are both of the same class?"""

import abc
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from mmjax.data.dataset import Dataset, Examples, Place, Source, check_split
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Share
from mmjax.data.targets import Binary
from mmjax.data.transforms.augment import ImageAugment
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError


class MatchSource(Source):
    """Pairs of the images of one split: positions 2i and 2i + 1 are both about image i.

    For training each gets a partner of its own class with probability 1/2, else one of a uniformly
    drawn other class. For evaluation 2i has a true partner and 2i + 1 a false one, drawn once.
    """

    def __init__(
        self,
        images: np.ndarray,  # uint8 [n, h, w, c]
        labels: np.ndarray,  # int [n], the class of each image
        partners: Sequence[Sequence[Any]],  # the rows of each class: captions, recordings ...
        *,
        modality: str,  # of the partners
        seed: int,  # of the evaluation pairs
        augment: ImageAugment | None = None,
    ):
        if images.dtype != np.uint8 or images.ndim != 4:
            raise UserError(
                f"images: expected uint8 [n, h, w, c], got {images.dtype} {images.shape}"
            )
        if labels.shape != images.shape[:1]:
            raise UserError(f"labels: expected {len(images)} of them, got shape {labels.shape}")
        self._count = np.array([len(rows) for rows in partners], np.int64)
        if len(partners) < 2 or not self._count.all():
            raise UserError(f"{modality}: expected two classes or more, each with a row or more")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(partners):
            raise UserError(
                f"labels: expected classes in 0..{len(partners) - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
        self._images = images
        self._labels = labels.astype(np.int64)
        self._rows = list(itertools.chain.from_iterable(partners))
        self._first = np.cumsum(self._count) - self._count
        self._modality = modality
        self._augment = augment or ImageAugment()
        # RandomState's numbers are frozen for ever, a Generator's are not: scores stay comparable.
        drawn = np.random.RandomState(seed)
        classes = np.repeat(self._labels, 2)
        other = drawn.randint(1, len(partners), len(classes))
        self._truth = np.arange(len(classes)) % 2 == 0
        self._fixed = self._partner(classes, self._truth, other, drawn.random_sample(len(classes)))

    def __len__(self) -> int:
        return 2 * len(self._images)

    def read(
        self, indices: np.ndarray, rng: np.random.Generator | None, own: slice = slice(None)
    ) -> Examples:
        """Images uint8 [b, h, w, c], rows of their partners, and the target "match", 0 or 1."""
        images = self._images[indices[own] // 2]
        if rng is None:
            truth, partner = self._truth[indices[own]], self._fixed[indices[own]]
        else:
            images = self._augment(images, rng, Share(len(indices), own))
            truth, partner = self._drawn(indices, rng, own)
        return Examples(
            inputs={"image": images, self._modality: [self._rows[i] for i in partner]},
            targets={"match": truth.astype(np.float32)},
        )

    def columns(self) -> dict[str, Any] | None:
        """All images and all partners; None where images are augmented."""
        if self._augment != ImageAugment():
            return None
        return {"image": self._images, self._modality: self._rows}

    def pick(
        self, indices: np.ndarray, rng: np.random.Generator, own: slice = slice(None)
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The same pairs as `read`."""
        truth, partner = self._drawn(indices, rng, own)
        rows = {"image": indices[own] // 2, self._modality: partner}
        return rows, {"match": truth.astype(np.float32)}

    def _drawn(
        self, indices: np.ndarray, rng: np.random.Generator, own: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whether each pair to train on is a true one, and the partner's place."""
        truth = rng.random(len(indices)) < 0.5
        other = rng.integers(1, len(self._count), len(indices))
        classes = self._labels[indices // 2]
        partner = self._partner(classes, truth, other, rng.random(len(indices)))
        return truth[own], partner[own]

    def _partner(
        self, classes: np.ndarray, truth: np.ndarray, other: np.ndarray, which: np.ndarray
    ) -> np.ndarray:
        """Positions in the list of rows. `other` counts classes onward from the true one."""
        shown = np.where(truth, classes, (classes + other) % len(self._count))
        return self._first[shown] + (which * self._count[shown]).astype(np.int64)


@dataclass(frozen=True)
class Match(Dataset):
    """What the match data sets share, whatever the images are paired with."""

    # Where prepared data sets lie; none: TFDS's own folder, ~/tensorflow_datasets.
    data_dir: Place = None
    augment: ImageAugment = field(default_factory=ImageAugment)  # Changes of the training images

    modality: ClassVar[str]
    """Of the partners."""

    @abc.abstractmethod
    def columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, h, w, c] and classes int [n] of a split, from disk."""

    @abc.abstractmethod
    def partners(self, split: str) -> Sequence[Sequence[Any]]:
        """What the images of a split are paired with: the rows of each class."""

    @abc.abstractmethod
    def partner_transform(self) -> Transform:
        """Of the partners' modality, fitted on the training split."""

    def preprocessing(self) -> Preprocessing:
        """Statistics of the training images, and the transform of their partners."""
        images, _ = self.columns("train")
        return Preprocessing(
            {"image": ImageTransform.fit(images), self.modality: self.partner_transform()},
            {"match": Binary()},
        )

    def source(self, split: str) -> MatchSource:
        """The pairs of a split; those for evaluation are the same in every experiment."""
        check_split(split)
        images, labels = self.columns(split)
        return MatchSource(
            images,
            labels,
            self.partners(split),
            modality=self.modality,
            seed=zlib.crc32(split.encode()),
            augment=self.augment,
        )
