"""What a kind of target is to the rest of the package: what users write in, arrays out."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmjax.types import Masked


@dataclass(frozen=True)
class Target(abc.ABC):
    """Literals, fitted on the training split and saved with the run; None is a missing target."""

    @abc.abstractmethod
    def __call__(self, rows: Sequence | np.ndarray, /) -> Masked:
        """What objectives read: one value per row; the mask is False where a row is None.

        Raises:
            UserError: a row is none of the kind; names its position.
        """

    @abc.abstractmethod
    def read(self, text: str) -> Any:
        """The value that a user wrote down.

        Raises:
            UserError: it is none of this kind; says what was expected.
        """
