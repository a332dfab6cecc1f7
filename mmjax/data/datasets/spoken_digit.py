"""Which digit is it? From a recording and a picture of the same digit."""

from dataclasses import dataclass

import numpy as np

from mmjax.data.dataset import Examples, Source, check_split
from mmjax.data.datasets.digits_match import NAMES
from mmjax.data.datasets.spoken_match import SpokenMatch
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng
from mmjax.data.targets import Category
from mmjax.errors import UserError


class SpokenDigitSource(Source):
    """All recordings of a split, each with a picture of its digit, drawn anew in training."""

    def __init__(
        self,
        audio: list[np.ndarray],
        digits: np.ndarray,
        images: np.ndarray,
        labels: np.ndarray,
        known: np.ndarray,
    ) -> None:
        """`known`: whether the digit of a recording is given."""
        self._audio, self._digits, self._known, self._images = audio, digits, known, images
        self._of_digit = [np.flatnonzero(labels == digit) for digit in range(10)]
        # RandomState, because its numbers never change: scores stay comparable.
        self._fixed = self._pictures(digits, np.random.RandomState(0).random_sample(len(digits)))

    def __len__(self) -> int:
        return len(self._audio)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Recordings, images uint8 `[b, h, w, c]`, and the target "digit", a name."""
        if rng is None:
            pictures = self._fixed[indices]
        else:
            pictures = self._pictures(self._digits[indices], rng.random(len(indices)))
        rows = indices[own]
        names = [NAMES[self._digits[i]] if self._known[i] else None for i in rows]
        inputs = {"speech": [self._audio[i] for i in rows], "image": self._images[pictures[own]]}
        return Examples(inputs, {"digit": names})

    def _pictures(self, digits: np.ndarray, which: np.ndarray) -> np.ndarray:
        return np.array(
            [
                self._of_digit[digit][int(w * len(self._of_digit[digit]))]
                for digit, w in zip(digits, which, strict=True)
            ]
        )


@dataclass(frozen=True)
class SpokenDigit(SpokenMatch):
    """The recordings and pictures of `SpokenMatch`; the target "digit" is one class of ten.

    For a share of the training recordings alone the digit is known.
    """

    labelled: float = 1.0  # share of the training recordings of each digit whose digit is known

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.labelled <= 1:
            raise UserError(f"labelled: expected more than 0 and at most 1, got {self.labelled}")

    def preprocessing(self) -> Preprocessing:
        """The transforms of `SpokenMatch`, and the names of the digits."""
        fitted = super().preprocessing()
        source = self.source("train")
        rows = source.read(np.arange(len(source)), None).targets["digit"]
        counts = tuple([*rows].count(name) for name in NAMES)
        return Preprocessing(fitted.transforms, {"digit": Category(NAMES, counts)})

    def source(self, split: str) -> Source:
        check_split(split)
        audio, digits = self.recordings(split)
        known = np.ones(len(digits), bool)
        if split == "train":
            # Spread over the speakers, whose recordings lie side by side.
            order = np.random.RandomState(0).permutation(len(digits))
            for digit in range(10):
                of_digit = order[digits[order] == digit]
                known[of_digit[max(1, round(self.labelled * len(of_digit))) :]] = False
        return SpokenDigitSource(audio, digits, *self.columns(split), known)
