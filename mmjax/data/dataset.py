"""The interface of data sets."""

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union

import numpy as np

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng, Share
from mmjax.errors import UserError
from mmjax.types import Masked

Place = Annotated[str | None, "place"]
"""A folder or file. It is no part of a run's identity: moving the data changes nothing."""
Budget = Annotated[float | None, "place"]
"""Memory that a data set may take, in GB; no part of a run's identity either."""
Rows = Union[Sequence, np.ndarray]
Picked = tuple[Mapping[str, np.ndarray], Mapping[str, Rows]]
Inputs = dict[str, Masked]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Some examples before preprocessing; a row that is None is missing."""

    inputs: Mapping[str, Rows]  # by modality
    targets: Mapping[str, Rows]  # by name; rows of the target's kind (`data/targets/`)


class Source(abc.ABC):
    """The examples of one split, read by index."""

    draws: bool = True  # training examples are drawn or augmented, so that each epoch has others

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of examples in an epoch."""

    @abc.abstractmethod
    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Read some examples.

        Args:
            indices: all examples of a batch
            rng: draws and augments training examples. What is drawn is drawn for all of `indices`,
                so that an example is the same whichever process reads it. None: examples to
                evaluate on, which depend on their indices only.
            own: the rows to return, of `indices`; each of several processes reads its own
        """

    @property
    def threads(self) -> int:
        """How many batches are read, and held, at once; if more than one, `read` runs in threads,
        of this process or of its workers.

        Worth it where reading releases Python's lock, as the decoding of pictures does.
        """
        return 1

    def columns(self) -> Mapping[str, Rows] | None:
        """By modality, all rows that training examples consist of; None if these are drawn."""
        return None

    def pick(self, indices: np.ndarray, rng: Rng, own: slice = slice(None)) -> Picked:
        """The result of `read` as indices of the rows of `columns`, and the targets."""
        raise NotImplementedError("a source with columns says which rows it reads")

    def part(self, share: float) -> "Source | None":
        """A share of what it shows, where that is not a share of its examples; None: it is."""
        del share
        return None


@dataclass(frozen=True)
class Dataset(abc.ABC):
    """The configuration of a data set, cheap to build and to compare."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Build the data set on disk, unless it is there."""

    def bound(self, inputs: Collection[str], targets: Collection[str]) -> "Dataset":
        """The same data set, complete for a model that reads these modalities and targets."""
        del inputs, targets
        return self

    def facts(self) -> Mapping[str, Any]:
        """What the data are, as JSON: at least `rows`, the number of examples by split."""
        return {"rows": {split: len(self.source(split)) for split in SPLITS}}

    @abc.abstractmethod
    def preprocessing(self) -> Preprocessing:
        """The transforms of inputs and the kinds of targets, fitted on the training split."""

    @abc.abstractmethod
    def source(self, split: str) -> Source:
        """One of `SPLITS`; UserError for another name."""

    def perturb(
        self, inputs: Inputs, preprocessing: Preprocessing, rng: Rng, share: Share | None = None
    ) -> Inputs:
        """Change a training batch after preprocessing; by default nothing.

        Random numbers are drawn for the whole batch. `share`: its rows that `inputs` are, by
        default all.
        """
        return inputs

    @property
    def shares_rows(self) -> bool:
        """Whether one row of the data, such as a picture, is in several training examples.

        Private training protects single examples, and refuses such data.
        """
        return False

    @property
    def perturbs(self) -> bool:
        """Whether `perturb` changes anything."""
        return False


def check_split(split: str) -> None:
    """UserError for a name that is not in `SPLITS`."""
    if split not in SPLITS:
        raise UserError(f"split: got {split!r}, choose from {', '.join(SPLITS)}")
