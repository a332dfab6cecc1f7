"""The interface of transforms: rows of one modality in, the arrays of its encoder out."""

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mmjax.errors import UserError
from mmjax.types import Masked


class Remark(str):
    """A warning about a row, in words; `kind` is one of cut, unknown, empty, resampled, missing."""

    kind: str

    def __new__(cls, kind: str, text: str) -> "Remark":
        remark = super().__new__(cls, text)
        remark.kind = kind
        return remark


@dataclass(frozen=True)
class Transform(abc.ABC):
    """The fields are literals, fitted on the training split and saved with the run."""

    padded: ClassVar[bool] = False
    """Whether rows are padded to one length, at the end of axis 1 of values and mask."""

    @abc.abstractmethod
    def __call__(self, rows: Sequence | np.ndarray, /) -> Masked:
        """The input of the modality's encoder. A row that is None is a missing modality.

        Raises:
            UserError: a row is not of this modality; names the row.
        """

    @abc.abstractmethod
    def read(self, cell: Any, folder: Path) -> Any:
        """The row that a cell of a table describes: a path relative to `folder`, or the value.

        Raises:
            UserError: the cell cannot be read; names the file where there is one.
            OSError: the file cannot be read.
        """

    @abc.abstractmethod
    def remarks(self, row: Any) -> list[Remark]:
        """Warnings about a row: cut, resampled, empty or with unknown values.

        Raises:
            UserError: the row cannot be read.
        """


def stack_rows(
    modality: str,
    rows: Sequence | np.ndarray,
    shape: tuple[int, ...],
    convert: Callable[[Any], Any],
    *,
    padded: bool = False,
    dtype: type = np.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """The converted rows `[b, *shape]` and their mask, False for rows that are None.

    Where rows are `padded`, they may be shorter than `shape[0]` and the mask is `[b, shape[0]]`,
    else `[b]`. Raises a UserError that names the row which `convert` refuses.
    """
    values = np.zeros((len(rows), *shape), dtype)
    mask = np.zeros(values.shape[: 2 if padded else 1], bool)
    for i, row in enumerate(rows):
        if row is None:
            continue
        try:
            converted = convert(row)
        except ValueError as error:
            raise UserError(f"{modality} in row {i}: {error}") from None
        place = (i, slice(len(converted))) if padded else i
        values[place] = converted
        mask[place] = True
    return values, mask
