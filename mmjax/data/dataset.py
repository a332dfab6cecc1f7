"""What a data set is to the rest of the package: the interface every file of datasets/ fills in."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmjax.data.preprocessing import Preprocessing
from mmjax.types import Masked

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Some examples before preprocessing; a None among the rows of a modality is a missing one.

    Float labels are those of yes-or-no questions, 0 or 1. Classes are integers.
    """

    inputs: Mapping[str, Sequence | np.ndarray]
    labels: Mapping[str, np.ndarray]


class Source(abc.ABC):
    """One split, in memory, read by position."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many examples there are; one epoch, whether to train or to evaluate."""

    @abc.abstractmethod
    def read(self, indices: np.ndarray, rng: np.random.Generator | None) -> Examples:
        """With a generator: examples to train on, freshly drawn and augmented.

        With None: the examples to evaluate on, which depend on nothing but their positions.

        Of several processes each reads its share of a batch, with a generator that draws for the
        whole of it: the first axis of all that is drawn must be the examples (`share.py`).
        """

    def columns(self) -> Mapping[str, Sequence | np.ndarray] | None:
        """By modality all rows that examples to train on are made of, where they are rows as such.

        None where they are not: drawn anew, or augmented.
        """
        return None

    def pick(
        self, indices: np.ndarray, rng: np.random.Generator
    ) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
        """What `read` gives with the same generator: places in `columns`, and the labels."""
        raise NotImplementedError("a source with columns says which rows it reads")


@dataclass(frozen=True)
class Dataset(abc.ABC):
    """A configuration, cheap to build and to compare, that knows how to get at its data."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Build the data set on disk, unless it is there."""

    @abc.abstractmethod
    def preprocessing(self) -> Preprocessing:
        """The transforms, fitted on the training split alone."""

    @abc.abstractmethod
    def source(self, split: str) -> Source:
        """One of `SPLITS`; ValueError for another name."""

    def perturb(
        self, inputs: dict[str, Masked], preprocessing: Preprocessing, rng: np.random.Generator
    ) -> dict[str, Masked]:
        """What happens to a training batch after preprocessing; nothing, unless overridden.

        What is drawn is as in `Source.read`.
        """
        return inputs

    @property
    def perturbs(self) -> bool:
        """Whether `perturb` does anything."""
        return False


def check_split(split: str) -> None:
    """ValueError for a name that is none of `SPLITS`."""
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}, choose from {', '.join(SPLITS)}")
