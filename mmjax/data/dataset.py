"""What a data set is to the rest of the package: the interface every file of datasets/ fills in."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Share
from mmjax.errors import UserError
from mmjax.types import Masked

Place = Annotated[str | None, "place"]
"""A folder or file. Where data lie does not make it another run: moving them changes nothing."""

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Some examples before preprocessing; a None among the rows of a modality is a missing one.

    The rows of a target are what its kind reads (`data/targets/`); a None is a missing target.
    """

    inputs: Mapping[str, Sequence | np.ndarray]
    targets: Mapping[str, Sequence | np.ndarray]


class Source(abc.ABC):
    """One split, in memory, read by position."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many examples there are; one epoch, whether to train or to evaluate."""

    @abc.abstractmethod
    def read(
        self, indices: np.ndarray, rng: np.random.Generator | None, own: slice = slice(None)
    ) -> Examples:
        """With a generator: examples to train on, freshly drawn and augmented.

        With None: the examples to evaluate on, which depend on nothing but their positions.

        Args:
            indices: of all examples of a batch
            rng: what is drawn is drawn for all of them, so that an example is the same whichever
                process reads it
            own: the rows to return; of several processes each reads its own
        """

    def columns(self) -> Mapping[str, Sequence | np.ndarray] | None:
        """By modality all rows that examples to train on are made of, where they are rows as such.

        None where they are not: drawn anew, or augmented.
        """
        return None

    def pick(
        self, indices: np.ndarray, rng: np.random.Generator, own: slice = slice(None)
    ) -> tuple[Mapping[str, np.ndarray], Mapping[str, Sequence | np.ndarray]]:
        """What `read` gives with the same generator: rows of `columns`, and the targets."""
        raise NotImplementedError("a source with columns says which rows it reads")


@dataclass(frozen=True)
class Dataset(abc.ABC):
    """A configuration, cheap to build and to compare, that knows how to get at its data."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Build the data set on disk, unless it is there."""

    @abc.abstractmethod
    def preprocessing(self) -> Preprocessing:
        """The transforms of inputs and the kinds of targets, fitted on the training split alone."""

    @abc.abstractmethod
    def source(self, split: str) -> Source:
        """One of `SPLITS`; UserError for another name."""

    def perturb(
        self,
        inputs: dict[str, Masked],
        preprocessing: Preprocessing,
        rng: np.random.Generator,
        share: Share | None = None,
    ) -> dict[str, Masked]:
        """What happens to a training batch after preprocessing; nothing, unless overridden.

        `share`: which rows of which batch the inputs are, where not all. What is drawn is drawn for
        the whole batch.
        """
        return inputs

    @property
    def perturbs(self) -> bool:
        """Whether `perturb` does anything."""
        return False


def check_split(split: str) -> None:
    """UserError for a name that is none of `SPLITS`."""
    if split not in SPLITS:
        raise UserError(f"split: got {split!r}, choose from {', '.join(SPLITS)}")
