"""The match task: an image and a caption, does the caption name what the image shows?"""

import abc
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from mmjax.data.augment import ImageAugment, WordDropout
from mmjax.data.dataset import Dataset, Examples, Source, check_split
from mmjax.data.image import ImageTransform
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.text import TextTransform
from mmjax.types import Input


class MatchSource(Source):
    """Pairs of the images of one split: positions 2i and 2i + 1 are both about image i.

    For training each gets a caption of its own class with probability 1/2, else one of a uniformly
    drawn other class. For evaluation 2i has a true caption and 2i + 1 a false one, drawn once.
    """

    def __init__(
        self,
        images: np.ndarray,  # uint8 [n, h, w, c]
        labels: np.ndarray,  # int [n], the class of each image
        captions: Sequence[Sequence[str]],  # the wordings of each class
        *,
        seed: int,  # of the evaluation pairs
        augment: ImageAugment | None = None,
    ):
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                f"images: expected uint8 [n, h, w, c], got {images.dtype} {images.shape}"
            )
        if labels.shape != images.shape[:1]:
            raise ValueError(f"labels: expected {len(images)} of them, got shape {labels.shape}")
        if len(captions) < 2 or not all(captions):
            raise ValueError("captions: expected two classes or more, each with a wording or more")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(captions):
            raise ValueError(
                f"labels: expected classes in 0..{len(captions) - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
        self._images = images
        self._labels = labels.astype(np.int64)
        self._texts = list(itertools.chain.from_iterable(captions))
        self._count = np.array([len(wordings) for wordings in captions])
        self._first = np.cumsum(self._count) - self._count
        self._augment = augment or ImageAugment()
        # RandomState's numbers are frozen for ever, a Generator's are not: scores stay comparable.
        drawn = np.random.RandomState(seed)
        classes = np.repeat(self._labels, 2)
        other = drawn.randint(1, len(captions), len(classes))
        self._truth = np.arange(len(classes)) % 2 == 0
        self._fixed = self._caption(classes, self._truth, other, drawn.random_sample(len(classes)))

    def __len__(self) -> int:
        return 2 * len(self._images)

    def read(self, indices: np.ndarray, rng: np.random.Generator | None) -> Examples:
        """Images uint8 [b, h, w, c], texts, and the label "match", 0 or 1."""
        images = self._images[indices // 2]
        if rng is None:
            truth, caption = self._truth[indices], self._fixed[indices]
        else:
            images = self._augment(images, rng)
            truth = rng.random(len(indices)) < 0.5
            other = rng.integers(1, len(self._count), len(indices))
            classes = self._labels[indices // 2]
            caption = self._caption(classes, truth, other, rng.random(len(indices)))
        return Examples(
            inputs={"image": images, "text": [self._texts[i] for i in caption]},
            labels={"match": truth.astype(np.float32)},
        )

    def _caption(
        self, classes: np.ndarray, truth: np.ndarray, other: np.ndarray, wording: np.ndarray
    ) -> np.ndarray:
        """Positions in the list of texts. `other` counts classes onward from the true one."""
        named = np.where(truth, classes, (classes + other) % len(self._count))
        return self._first[named] + (wording * self._count[named]).astype(np.int64)


@dataclass(frozen=True)
class Match(Dataset):
    """The fields and the fitting that the match data sets share."""

    # Where prepared data sets lie; none: TFDS's own folder, ~/tensorflow_datasets.
    data_dir: str | None = None
    # Longer captions are cut.
    max_words: int = 10
    # At most so many different words, the padding and the unknown word included.
    vocabulary_size: int = 10_000
    # Changes of the training images.
    augment: ImageAugment = field(default_factory=ImageAugment)
    # Share of the training words replaced by the unknown word, 0 to 1.
    word_dropout: float = 0.0

    captions: ClassVar[Sequence[Sequence[str]]]
    """The wordings of each class."""

    @abc.abstractmethod
    def columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, h, w, c] and classes int [n] of a split, from disk."""

    def preprocessing(self) -> Preprocessing:
        """Statistics of the training images; words of the captions that training can draw."""
        images, _ = self.columns("train")
        # With two classes or more every class is drawn: as the true one or as the other one.
        texts = itertools.chain.from_iterable(self.captions)
        text = TextTransform.fit(
            texts, vocabulary_size=self.vocabulary_size, max_words=self.max_words
        )
        return Preprocessing({"image": ImageTransform.fit(images), "text": text})

    def source(self, split: str) -> MatchSource:
        """The pairs of a split; those for evaluation are the same in every experiment."""
        check_split(split)
        images, labels = self.columns(split)
        return MatchSource(
            images, labels, self.captions, seed=zlib.crc32(split.encode()), augment=self.augment
        )

    def perturb(self, inputs: dict[str, Input], rng: np.random.Generator) -> dict[str, Input]:
        """Some words become the unknown word."""
        return {**inputs, "text": WordDropout(self.word_dropout)(inputs["text"], rng)}
