"""The interface of columns: how one modality or target is read from the cells of a row."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from mmjax.data.targets import Target
from mmjax.data.transforms.transform import Transform
from mmjax.io.tables import Cell as Cell


@runtime_checkable
class Fit(Protocol):
    """Collects what a transform or target needs from training rows that are added one by one."""

    def add(self, row: Any, /) -> None:
        """Add a row; None is missing."""

    def result(self) -> Transform | Target:
        """The fitted transform or target; UserError where the rows do not suffice."""
        ...


@dataclass(frozen=True)
class Column(abc.ABC):
    """One modality or one target of a table."""

    files: ClassVar[bool] = False  # cells may be paths; rows that share a file stay together
    target: ClassVar[bool] = False

    column: tuple[str, ...] = ()  # in the file; none: named like the modality or target

    def names(self, name: str) -> tuple[str, ...]:
        """The columns of the file; `name` is that of the modality or target."""
        return self.column or (name,)

    def row(self, cells: Mapping[str, Cell], folder: Path) -> Any:
        """The row of the transform or target; None where the cell is missing.

        `cells`: those that `names` lists. Paths are relative to `folder`.

        Raises:
            UserError, OSError: a cell cannot be read.
        """
        (cell,) = cells.values()
        return None if absent(cell) else self.read(cell, folder)

    @abc.abstractmethod
    def read(self, cell: Cell, folder: Path) -> Any:
        """The row of a cell that is not missing."""

    @abc.abstractmethod
    def fitting(self) -> Fit:
        """An empty collection, to which the training rows are added."""


def absent(cell: Cell) -> bool:
    """True for an empty cell."""
    return cell is None or (isinstance(cell, str) and not cell.strip())
