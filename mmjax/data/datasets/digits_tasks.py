"""Three questions about a digit and a caption: do they match, which digit is it, how much ink."""

import itertools
from dataclasses import dataclass

import numpy as np

from mmjax.data.dataset import Examples, Source, check_split
from mmjax.data.datasets.digits_match import NAMES, DigitsMatch
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng
from mmjax.data.targets import Category, Number
from mmjax.errors import UserError


class DigitsTasksSource(Source):
    """The pairs of a match source, with the class and the ink of each picture."""

    def __init__(self, pairs: Source, images: np.ndarray, digits: np.ndarray, known: np.ndarray):
        """`known`: whether class and ink of a picture are given."""
        self._pairs, self._known = pairs, known
        self._names = [NAMES[digit] for digit in digits]
        self._ink = images.mean(axis=(1, 2, 3)) / 255

    def __len__(self) -> int:
        return len(self._pairs)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Images, captions, and the targets "match", "digit" and "ink"."""
        examples = self._pairs.read(indices, rng, own)
        rows = indices[own] // 2
        targets = {
            "digit": [self._names[i] if self._known[i] else None for i in rows],
            "ink": [float(self._ink[i]) if self._known[i] else None for i in rows],
        }
        return Examples(examples.inputs, {**examples.targets, **targets})


@dataclass(frozen=True)
class DigitsTasks(DigitsMatch):
    """`DigitsMatch` with two more targets, known for a share of the training pictures.

    "match": does the caption name the digit? "digit": the class of the picture. "ink": the mean of
    its grey levels, 0 to 1. "match" is always known.
    """

    labelled: float = 1.0  # share of the training pictures whose digit and ink are known

    def __post_init__(self) -> None:
        if not 0 < self.labelled <= 1:
            raise UserError(f"labelled: expected more than 0 and at most 1, got {self.labelled}")

    def preprocessing(self) -> Preprocessing:
        """The transforms of `DigitsMatch`, and targets fitted to the pictures that have them."""
        fitted = super().preprocessing()
        source = self.source("train")
        examples = source.read(np.arange(0, len(source), 2), np.random.default_rng(0)).targets
        digits = [name for name in examples["digit"] if name is not None]
        counts = tuple(digits.count(name) for name in NAMES)
        targets = {"digit": Category(NAMES, counts), "ink": Number.fit(examples["ink"])}
        return Preprocessing(fitted.transforms, {**fitted.targets, **targets})

    def source(self, split: str) -> Source:
        """In training the first pictures of every class have a class and an amount of ink."""
        check_split(split)
        images, digits = self.columns(split)
        known = np.ones(len(digits), bool)
        if split == "train":
            for digit, _ in itertools.groupby(sorted(digits)):
                of_class = np.flatnonzero(digits == digit)
                known[of_class[max(1, round(self.labelled * len(of_class))) :]] = False
        return DigitsTasksSource(super().source(split), images, digits, known)
