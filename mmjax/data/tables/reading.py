"""Reads the rows of a table: cells to values, and what is wrong with those that cannot be read."""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mmjax.data.tables.columns import Column
from mmjax.data.tables.columns.column import Cell
from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault
from mmjax.io.tables import RowError

Policy = Literal["stop", "skip", "mask"]
_KEPT = 256  # last files of each column that are not read again


class Row(NamedTuple):
    """A row of a table; a value of None is missing."""

    place: int | str  # its line, or its name
    values: Mapping[str, Any]  # by modality and target


@dataclass(frozen=True)
class Reader:
    """Reads one row after the other; may be sent to worker processes.

    `policy` for a row that cannot be read: stop, skip it, or mask the cells of its modalities; a
    row whose target cannot be read is then skipped.
    """

    path: Path
    folder: Path  # of the paths in cells
    columns: Mapping[str, Column]
    policy: Policy = "stop"
    keep_all: bool = False  # every file that was read, so that rows which share one share memory
    _read: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __call__(
        self, place: int | str, cells: Mapping[str, Cell]
    ) -> tuple[Row | None, list[Fault]]:
        """The row, or None if it is skipped, and its faults.

        Raises:
            RowError: it has a fault, and the policy is to stop.
        """
        values, errors = {}, {}
        for name, column in self.columns.items():
            try:
                values[name] = self._value(name, column, cells)
            except (ValueError, OSError) as error:
                values[name] = None
                errors[name] = str(error)
        return self.judged(Row(place, values), errors)

    def judged(self, row: Row, errors: Mapping[str, str]) -> tuple[Row | None, list[Fault]]:
        """The row with what its errors, {name: reason}, make of it, as from `__call__`."""
        if not errors:
            return row, []
        if self.policy == "stop":
            name, reason = next(iter(errors.items()))
            raise RowError(self.path, row.place, f"column {self._called(name)}: {reason}")
        masked = self.policy == "mask" and not any(self.columns[name].target for name in errors)
        outcome: Literal["masked", "skipped"] = "masked" if masked else "skipped"
        faults = [Fault(row.place, n, outcome, reason) for n, reason in errors.items()]
        if not masked:
            return None, faults
        return row._replace(values={**row.values, **dict.fromkeys(errors)}), faults

    def _value(self, name: str, column: Column, cells: Mapping[str, Cell]) -> Any:
        wanted = {key: cells[key] for key in column.names(name)}
        if not column.files:
            return column.row(wanted, self.folder)
        if name not in self._read:
            size = None if self.keep_all else _KEPT
            self._read[name] = functools.lru_cache(size)(functools.partial(self._file, column))
        (cell,) = wanted.values()
        kept = self._read[name] if isinstance(cell, str) else functools.partial(self._file, column)
        return kept(cell)

    def _file(self, column: Column, cell: Cell) -> Any:
        return column.row({"": cell}, self.folder)

    def _called(self, name: str) -> str:
        names = self.columns[name].names(name)
        return repr(names[0]) if len(names) == 1 else f"{name!r} ({', '.join(names)})"

    def __reduce__(self) -> tuple:
        return Reader, (self.path, self.folder, self.columns, self.policy, self.keep_all)


def needed(columns: Mapping[str, Column], more: Collection[str | None]) -> list[str]:
    """The columns that the file must have, each once."""
    names = [name for key, column in columns.items() for name in column.names(key)]
    return list(dict.fromkeys([*names, *(name for name in more if name is not None)]))


def require_columns(columns: Mapping[str, Column]) -> None:
    """UserError unless there is a modality."""
    if not any(not column.target for column in columns.values()):
        raise UserError(
            "--data.columns: expected a modality such as image:image or text:text, got "
            f"{' '.join(columns) or 'none'}"
        )
