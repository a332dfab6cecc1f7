"""Which digit is it? From an image and a caption that is sometimes wrong."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmjax.data.dataset import Dataset, Examples, Place, Source, check_split
from mmjax.data.datasets import storage
from mmjax.data.datasets.digits_match import DIGIT_CAPTIONS, NAMES
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng
from mmjax.data.targets import Category
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError


class DigitsClassSource(Source):
    """The images of one split, each with a caption that may name another digit."""

    def __init__(self, images: np.ndarray, digits: np.ndarray, wrong: float, seed: int) -> None:
        """`wrong`: probability of a wrong caption; `seed`: for the captions to evaluate on."""
        self._images, self._digits, self._wrong = images, digits, wrong
        # RandomState, because its numbers never change: scores stay comparable.
        self._fixed = self._captions(digits, np.random.RandomState(seed).random_sample)

    def __len__(self) -> int:
        return len(self._images)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Images uint8 `[b, 8, 8, 1]`, captions, and the target "digit", a name."""
        rows = indices[own]
        if rng is None:
            captions = [self._fixed[i] for i in rows]
        else:
            captions = self._captions(self._digits[indices], rng.random)[own]
        names = [NAMES[digit] for digit in self._digits[rows]]
        return Examples({"image": self._images[rows], "text": captions}, {"digit": names})

    def _captions(self, digits: np.ndarray, draw: Any) -> list[str]:
        wrong, other, wording = draw(len(digits)), draw(len(digits)), draw(len(digits))
        other = (digits + 1 + (9 * other).astype(int)) % 10
        named = np.where(wrong < self._wrong, other, digits)
        chosen = (DIGIT_CAPTIONS[digit] for digit in named)
        return [c[int(len(c) * w)] for c, w in zip(chosen, wording, strict=True)]


@dataclass(frozen=True)
class DigitsClass(Dataset):
    """scikit-learn's 1,797 digits of 8 x 8 pixels, each with a caption that may be wrong.

    The target "digit" is one class of ten. The caption alone gives an accuracy of 1 - wrong.
    """

    # Folder of prepared data sets; none: TFDS's own, ~/tensorflow_datasets.
    data_dir: Place = None
    wrong: float = 0.2  # probability that a caption names another digit, 0 to 1
    max_words: int = 10  # longer captions are cut

    def __post_init__(self) -> None:
        if not 0 <= self.wrong <= 1:
            raise UserError(f"wrong: expected 0 to 1, got {self.wrong}")

    def prepare(self) -> None:
        """Build the data set from scikit-learn's."""
        from mmjax.data.datasets.digits import Digits

        storage.prepare(Digits, data_dir=self.data_dir)

    def preprocessing(self) -> Preprocessing:
        """Statistics of the training images, the words of all captions, the names of the digits."""
        images, digits = self._columns("train")
        captions: Sequence[str] = [text for texts in DIGIT_CAPTIONS for text in texts]
        text = TextTransform.fit(captions, vocabulary_size=1000, max_words=self.max_words)
        counts = tuple(int(np.sum(digits == digit)) for digit in range(10))
        return Preprocessing(
            {"image": ImageTransform.fit(images), "text": text}, {"digit": Category(NAMES, counts)}
        )

    def source(self, split: str) -> DigitsClassSource:
        check_split(split)
        seed = zlib.crc32(split.encode())
        return DigitsClassSource(*self._columns(split), wrong=self.wrong, seed=seed)

    def _columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        from mmjax.data.datasets.digits import Digits

        found = storage.columns(Digits, split, data_dir=self.data_dir)
        return found["image"], found["label"]
