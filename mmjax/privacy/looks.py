"""What a first pass over a table learns before anything is written; it stops at the first doubt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.transforms.cells import days, is_missing, number
from mmjax.errors import UserError
from mmjax.io import progress
from mmjax.io.tables import RowError, columns_of, read_rows
from mmjax.privacy.scrub import EMAIL, Scrubber
from mmjax.privacy.settings import Settings

_FEW = 20  # distinct values that identify nobody
_SHARE = 0.3  # of distinct values, from which a column identifies: a person may have three rows


@dataclass
class Look:
    """A table whose every row was read without a fault."""

    columns: Mapping[str, str]  # role by column
    rows: int = 0
    people: list = field(default_factory=list)  # by row: the first pseudonym, else the row
    cells: dict[str, list] = field(default_factory=dict)  # of quasi-identifiers and sensitive ones
    distinct: dict[str, set[int]] = field(default_factory=dict)  # hashes of texts, other columns

    def named(self, *roles: str) -> list[str]:
        """The columns of these roles."""
        return [column for column, role in self.columns.items() if role in roles]

    def identifying(self, column: str) -> bool:
        """Whether a column has so many different texts or whole numbers that they tell people."""
        return len(self.distinct[column]) > max(_FEW, _SHARE * self.rows)


def look(table: Path, settings: Settings, scrubber: Scrubber | None) -> Look:
    """Read all rows, and teach the scrubber what their texts say.

    Raises:
        UserError: a row cannot be read; a cell is of a kind that cannot be judged; or a column that
            is kept looks as if it named people.
    """
    columns = columns_of(table, settings.format)
    found = Look(settings.roles.by_column(columns, table))
    for column, role in found.columns.items():
        if role in ("quasi", "sensitive"):
            found.cells[column] = []
        else:
            found.distinct[column] = set()
    with progress.shown("look") as tell:
        for place, row in read_rows(table, format=settings.format, required=columns):
            if isinstance(row, RowError):
                raise UserError(f"{row}; nothing was written")
            if unknown := sorted(set(row) - set(columns)):
                raise UserError(
                    f"{table}:{place}: columns without a role: {', '.join(unknown)}; nothing was "
                    "written"
                )
            for column, cell in row.items():
                _see(found, column, cell, f"{table}:{place}: column {column!r}", scrubber)
            person = row[settings.roles.pseudonym[0]] if settings.roles.pseudonym else None
            found.people.append(found.rows if is_missing(person) else str(person))
            found.rows += 1
            tell(found.rows)
    if not found.rows:
        raise UserError(f"{table}: expected rows, got none")
    for column in found.named("keep"):
        if found.identifying(column):
            raise UserError(
                f"--keep {column}: {len(found.distinct[column]):,} different values may identify "
                "people; choose --drop, --pseudonym, --quasi or --text, or --keep-unique if they "
                "tell nothing about people"
            )
    return found


def _see(look: Look, column: str, cell: Any, where: str, scrubber: Scrubber | None) -> None:
    role = look.columns[column]
    if role in ("keep", "keep_unique", "sensitive"):
        _require_plain(cell, where, role)
    elif role == "text":
        if not isinstance(cell, str | None):
            raise UserError(f"{where}: expected a text, got {type(cell).__name__}")
        if scrubber is not None:
            scrubber.read(cell or "")
    elif role in ("quasi", "pseudonym") and not isinstance(cell, str | int | float | None):
        raise UserError(f"{where}: expected a text or a number, got {type(cell).__name__}")
    if column in look.cells:
        look.cells[column].append(cell)
    elif not is_missing(cell) and isinstance(cell, str | int) and _is_label(cell):
        look.distinct[column].add(hash(str(cell).strip().lower()))


def _is_label(cell: str | int) -> bool:
    """Whether a cell is a text or a whole number, not a measurement or a date."""
    value = number(cell) if isinstance(cell, str) else cell
    if value is not None:
        return float(value).is_integer()
    return days(str(cell)) is None


def _require_plain(cell: Any, where: str, role: str) -> None:
    """UserError unless a cell may stand in the output as it is."""
    flag = role.replace("_", "-")
    if isinstance(cell, str) and EMAIL.search(cell):
        raise UserError(f"{where}: holds an e-mail address but has the role --{flag}")
    numbers = isinstance(cell, np.ndarray) and cell.dtype.kind in "biuf"
    if isinstance(cell, list):
        numbers = all(isinstance(item, int | float) for item in cell)
    if not (numbers or isinstance(cell, str | int | float | None)):
        raise UserError(
            f"{where}: expected a text or numbers with the role --{flag}, got "
            f"{type(cell).__name__}, which may hold anything"
        )
