"""The interface of targets: rows of one target in, the arrays that objectives read out."""

import abc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmjax.types import Masked


@dataclass(frozen=True)
class Target(abc.ABC):
    """The fields are literals, fitted on the training split and saved with the run."""

    @classmethod
    def fit(cls, rows: Iterable) -> "Target":
        """Fit the target to the training rows; by default nothing is fitted."""
        del rows
        return cls()

    @abc.abstractmethod
    def __call__(self, rows: Sequence | np.ndarray, /) -> Masked:
        """One value per row; the mask is False where a row is None: a missing target.

        Raises:
            UserError: a row is not of this kind; names its index.
        """

    @staticmethod
    @abc.abstractmethod
    def read(text: str) -> Any:
        """The row that a cell of a table describes.

        Raises:
            UserError: the text is not of this kind; says what was expected.
        """


def present(rows: Sequence | np.ndarray) -> np.ndarray:
    """The mask `[b]`: False where a row is None."""
    return np.array([row is not None for row in rows], bool)
