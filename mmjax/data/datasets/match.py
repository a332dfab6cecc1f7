"""The match task: are an image and a row of another modality of the same class?"""

import abc
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from mmjax.data.dataset import Dataset, Examples, Picked, Place, Source, check_split
from mmjax.data.datasets import storage
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng, Share
from mmjax.data.subset import Subset, chosen
from mmjax.data.targets import Binary
from mmjax.data.transforms.augment import ImageAugment
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError


class MatchSource(Source):
    """Pairs of the images of one split; pairs 2i and 2i + 1 have image i.

    In training, the partner is of the same class with probability 1/2, else of another class drawn
    uniformly. In evaluation, pair 2i matches and pair 2i + 1 does not; partners are drawn once.
    """

    def __init__(
        self,
        images: np.ndarray,  # uint8 [n, h, w, c]
        labels: np.ndarray,  # int [n], the class of each image
        partners: Sequence[Sequence[Any]],  # rows of each class, such as captions
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
        # RandomState, because its numbers never change: scores stay comparable.
        drawn = np.random.RandomState(seed)
        classes = np.repeat(self._labels, 2)
        other = drawn.randint(1, len(partners), len(classes))
        self._truth = np.arange(len(classes)) % 2 == 0
        self._fixed = self._partner(classes, self._truth, other, drawn.random_sample(len(classes)))

    def __len__(self) -> int:
        return 2 * len(self._images)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Images uint8 `[b, h, w, c]`, rows of their partners, and the target "match", 0 or 1."""
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

    def pick(self, indices: np.ndarray, rng: Rng, own: slice = slice(None)) -> Picked:
        """The same pairs as `read`."""
        truth, partner = self._drawn(indices, rng, own)
        rows = {"image": indices[own] // 2, self._modality: partner}
        return rows, {"match": truth.astype(np.float32)}

    def part(self, share: float) -> Subset:
        """The pairs of a share of the images, as many of each class; with any partners."""
        images = chosen(self._labels.tolist(), share)
        return Subset(self, np.sort(np.concatenate([2 * images, 2 * images + 1])))

    def _drawn(self, indices: np.ndarray, rng: Rng, own: slice) -> tuple[np.ndarray, np.ndarray]:
        """Whether each training pair matches, and the index of its partner."""
        truth = rng.random(len(indices)) < 0.5
        other = rng.integers(1, len(self._count), len(indices))
        classes = self._labels[indices // 2]
        partner = self._partner(classes, truth, other, rng.random(len(indices)))
        return truth[own], partner[own]

    def _partner(
        self, classes: np.ndarray, truth: np.ndarray, other: np.ndarray, which: np.ndarray
    ) -> np.ndarray:
        """Indices of partners. `other` is the distance from the true class, modulo the classes."""
        shown = np.where(truth, classes, (classes + other) % len(self._count))
        return self._first[shown] + (which * self._count[shown]).astype(np.int64)


@dataclass(frozen=True)
class Match(Dataset):
    """The base class of match data sets: images of a TFDS builder and their partners."""

    # Folder of prepared data sets; none: TFDS's own, ~/tensorflow_datasets.
    data_dir: Place = None
    augment: ImageAugment = field(
        default_factory=ImageAugment
    )  # Random changes of the training images

    modality: ClassVar[str]
    """The modality of the partners."""

    @staticmethod
    @abc.abstractmethod
    def builder() -> storage.Kind:
        """The builder of the images; imports TFDS, which is slow."""

    @abc.abstractmethod
    def partners(self, split: str) -> Sequence[Sequence[Any]]:
        """The rows of each class that the images of a split are paired with."""

    @abc.abstractmethod
    def partner_transform(self) -> Transform:
        """The transform of the partners, fitted on the training split."""

    def prepare(self) -> None:
        """Build the images on disk, unless they are there."""
        storage.prepare(self.builder(), **self._places())

    def columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 `[n, h, w, c]` and classes int `[n]` of a split, from disk."""
        rows = storage.columns(self.builder(), split, **self._places())
        return rows["image"], rows["label"]

    def _places(self) -> dict[str, str | None]:
        """Folders of the prepared data and, in some data sets, of the original files."""
        return {"data_dir": self.data_dir, "manual_dir": getattr(self, "manual_dir", None)}

    @property
    def shares_rows(self) -> bool:
        """A picture and a partner are in several pairs."""
        return True

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
