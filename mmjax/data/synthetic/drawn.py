"""The base class of synthetic data sets: examples are drawn, no file is read or written."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmjax.data.dataset import Dataset, Examples, Source, check_split
from mmjax.data.share import Rng
from mmjax.data.synthetic.planting import Draws, frozen
from mmjax.errors import UserError


@dataclass(frozen=True)
class Drawn(Dataset):
    """A data set whose training examples are drawn anew in every step."""

    train_size: int = 4096  # training examples of an epoch
    validation_size: int = 512  # validation examples, the same in every run
    test_size: int = 2048  # test examples, the same in every run
    seed: int = 0  # seed of the validation and test examples

    def __post_init__(self) -> None:
        for name in ("train_size", "validation_size", "test_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed: expected 0 to 2**32 - 1, got {self.seed}")

    @abc.abstractmethod
    def draw(self, count: int, draws: Draws) -> Examples:
        """Draw `count` new examples."""

    def prepare(self) -> None:
        """Nothing to prepare."""

    def source(self, split: str) -> "DrawnSource":
        check_split(split)
        return DrawnSource(self, split)


class DrawnSource(Source):
    """One split; training examples are drawn by the generator, others are drawn once."""

    def __init__(self, data: Drawn, split: str) -> None:
        self._data, self._split = data, split

    def __len__(self) -> int:
        return getattr(self._data, f"{self._split}_size")

    @cached_property
    def _fixed(self) -> Examples:
        return self._data.draw(len(self), frozen(self._data.seed, self._split))

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Rows of each modality and target."""
        if rng is None:
            examples, rows = self._fixed, indices[own]
        else:
            examples, rows = self._data.draw(len(indices), rng), np.arange(len(indices))[own]
        return Examples(
            {name: _taken(values, rows) for name, values in examples.inputs.items()},
            {name: _taken(values, rows) for name, values in examples.targets.items()},
        )


def _taken(values: Sequence | np.ndarray, rows: np.ndarray) -> Sequence | np.ndarray:
    return values[rows] if isinstance(values, np.ndarray) else [values[i] for i in rows]
