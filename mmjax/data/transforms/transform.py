"""What a transform is to the rest of the package: rows of one modality in, arrays out."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mmjax.types import Masked


@dataclass(frozen=True)
class Transform(abc.ABC):
    """Literals, fitted on the training split; a row that is None is missing.

    ValueError, naming the row, for what is none of its rows.
    """

    padded: ClassVar[bool] = False
    """Whether rows are brought to one length by padding: axis 1 of values and mask, at its end."""

    @abc.abstractmethod
    def __call__(self, rows: Sequence | np.ndarray, /) -> Masked:
        """What the modality's encoder reads."""

    @abc.abstractmethod
    def read(self, text: str, folder: Path) -> Any:
        """The row that a user wrote down: a path, which starts at `folder`, or the value itself.

        Raises:
            UserError: no such row; a file is named.
            OSError: the file cannot be read.
        """

    @abc.abstractmethod
    def remarks(self, row: Any) -> list[str]:
        """What somebody who reads the answer to a row should know: cut, changed or unknown."""
