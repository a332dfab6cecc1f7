"""Tables: numbers standardised, categories numbered, cell by cell either there or missing."""

import contextlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Union

import numpy as np

from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.types import Masked

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Numeric:
    """value = (x - mean) / std."""

    name: str
    mean: float
    std: float  # above 0

    def __post_init__(self):
        if not math.isfinite(self.mean) or not 0 < self.std < math.inf:
            raise UserError(
                f"column {self.name!r}: expected a finite mean and std above 0, "
                f"got {self.mean} and {self.std}"
            )

    def value(self, cell: Any) -> float:
        """Of a cell that is not missing; UserError for what is no number."""
        value = (_number(cell) - self.mean) / self.std
        if not abs(value) <= _LARGEST:
            raise UserError(f"expected a number that fits into float32, got {value:g} std")
        return value


@dataclass(frozen=True)
class Categorical:
    """value = the place of a category among `categories`."""

    name: str
    categories: tuple[str, ...]

    def __post_init__(self):
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise UserError(
                f"column {self.name!r}: expected one or more different categories, "
                f"got {self.categories}"
            )

    def value(self, cell: Any) -> float | None:
        """Of a cell that is not missing; None for a category that training never saw."""
        category = _category(cell)
        return float(self.categories.index(category)) if category in self.categories else None


Column = Union[Numeric, Categorical]


@dataclass(frozen=True)
class TableTransform(Transform):
    """One row of a table per example; which column is what stands in `columns`."""

    columns: tuple[Column, ...]  # in the order in which the encoder reads them

    def __post_init__(self):
        if not self.columns:
            raise UserError("columns: expected at least one, got none")
        twice = [name for name, count in Counter(self._names).items() if count > 1]
        if twice:
            raise UserError(f"columns: expected different names, got {twice[0]!r} twice")

    @classmethod
    def fit(cls, rows: Sequence, *, columns: Sequence[str] | None = None) -> "TableTransform":
        """Columns of strings or truth values are categorical, columns of numbers numeric.

        `columns` are their names in the order to be; none: as they first appear. Codes are
        categories where they are written as strings. Categories are ordered by frequency, then
        alphabet. A number that never changes is only centred.
        """
        for i, row in enumerate(rows):
            with _in_row(i):
                _check_row(row, columns)
        names = columns
        if names is None:
            names = dict.fromkeys(name for row in rows if row is not None for name in row)
        return cls(columns=tuple(_fitted(name, rows) for name in names))

    @property
    def categories(self) -> tuple[int, ...]:
        """How many there are in each column; 0 for a numeric one."""
        return tuple(
            len(column.categories) if isinstance(column, Categorical) else 0
            for column in self.columns
        )

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 [b, column], mask [b, column], False where a cell is missing or unknown.

        A row is a mapping from columns to cells, or None. A cell is missing where it is None or
        NaN, and where its column is absent; unknown, where training never saw its category.
        """
        values = np.zeros((len(rows), len(self.columns)), np.float32)
        mask = np.zeros(values.shape, bool)
        for i, row in enumerate(rows):
            with _in_row(i):
                for k, value in enumerate(self._values(row)):
                    if value is not None:
                        values[i, k], mask[i, k] = value, True
        return Masked(values, mask)

    def read(self, text: str, folder: Path) -> Mapping[str, Any]:
        """A JSON object such as `{"age": 63, "sex": "f"}`."""
        try:
            row = json.loads(text, object_pairs_hook=_unique)
        # An endless nest of brackets, and an integer of more digits than Python converts.
        except (ValueError, RecursionError) as error:
            raise UserError(f"expected a JSON object, got {text[:200]!r}: {error}") from error
        if not isinstance(row, dict):
            raise UserError(f"expected a JSON object of columns and cells, got {text[:200]!r}")
        self._values(row)
        return row

    def remarks(self, row: Any) -> list[str]:
        """Cells that are missing or unknown."""
        missing, unknown = [], []
        for column, cell in self._cells(row):
            if _missing(cell):
                missing.append(column.name)
            elif column.value(cell) is None:
                unknown.append(f"{column.name}={cell!r}")
        return [
            f"{len(cells)} cell{'s' * (len(cells) > 1)} {what}: {', '.join(cells)}"
            for what, cells in (("missing", missing), ("unknown", unknown))
            if cells
        ]

    @property
    def _names(self) -> list[str]:
        return [column.name for column in self.columns]

    def _values(self, row: Any) -> list[float | None]:
        """None for a cell without a value; ValueError, naming the column, for what is no row."""
        _check_row(row, self._names)
        found = []
        for column, cell in self._cells(row or {}):
            with _in_column(column.name):
                found.append(None if _missing(cell) else column.value(cell))
        return found

    def _cells(self, row: Mapping[str, Any]) -> Iterator[tuple[Column, Any]]:
        return ((column, row.get(column.name)) for column in self.columns)


@contextlib.contextmanager
def _in_row(i: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"table in row {i}: {error}") from None


@contextlib.contextmanager
def _in_column(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"column {name!r}: {error}") from None


def _check_row(row: Any, names: Sequence[str] | None) -> None:
    if row is None:
        return
    if not isinstance(row, Mapping):
        raise UserError(f"expected a mapping from columns to cells, got {type(row).__name__}")
    for name in row:
        if names is not None and name not in names:
            raise UserError(f"no column {name!r}; choose from {', '.join(map(repr, names))}")


def _fitted(name: str, rows: Sequence[Mapping[str, Any] | None]) -> Column:
    cells = [(i, row.get(name)) for i, row in enumerate(rows) if row is not None]
    cells = [(i, cell) for i, cell in cells if not _missing(cell)]
    if not cells:
        raise UserError(f"column {name!r}: expected a cell that is not missing, got none")
    categorical = _is_category(cells[0][1])
    found = []
    for i, cell in cells:
        with _in_row(i), _in_column(name):
            found.append(_category(cell) if categorical else _number(cell))
    if categorical:
        counts = Counter(found)
        ranked = sorted(counts, key=lambda category: (-counts[category], category))
        return Categorical(name, tuple(ranked))
    std = float(np.std(found))
    constant = std <= 1e-9 * np.abs(found).max()
    return Numeric(name, mean=float(np.mean(found)), std=1.0 if constant else std)


def _missing(cell: Any) -> bool:
    nan = isinstance(cell, Real) and bool(cell != cell)  # nothing else is unlike itself
    return cell is None or nan


def _is_category(cell: Any) -> bool:
    return isinstance(cell, (str, bool, np.bool_))


def _category(cell: Any) -> str:
    """Truth values by the names that JSON gives them."""
    if not _is_category(cell):
        raise UserError(f"expected a category as text, got {cell!r}")
    return cell if isinstance(cell, str) else str(bool(cell)).lower()


def _number(cell: Any) -> float:
    if _is_category(cell) or not isinstance(cell, Real):
        raise UserError(f"expected a number, got {cell!r}")
    try:
        value = float(cell)
    except OverflowError:  # an integer of hundreds of digits
        value = math.inf
    if not abs(value) <= _LARGEST:
        raise UserError(f"expected a finite number that fits into float32, got {value:g}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = Counter(name for name, _ in pairs)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise UserError(f"column {twice[0]!r} is given twice")
    return dict(pairs)
