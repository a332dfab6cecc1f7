"""Tables: standardised numbers and numbered categories; each cell may be missing."""

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

from mmjax.data.standardize import LARGEST, check_statistics, mean_and_std
from mmjax.data.transforms.transform import Transform, stack_rows
from mmjax.errors import UserError
from mmjax.types import Masked


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: value = (x - mean) / std."""

    name: str
    mean: float
    std: float  # above 0

    def __post_init__(self):
        with _errors_name(f"column {self.name!r}"):
            check_statistics((self.mean,), (self.std,), size=1)

    def value(self, cell: Any) -> float:
        """The standardised number. Raises a UserError for a cell that is not a finite number."""
        value = (_number(cell) - self.mean) / self.std
        if not abs(value) <= LARGEST:
            raise UserError(f"expected a number that fits into float32, got {value:g} std")
        return value


@dataclass(frozen=True)
class Categorical:
    """A column of categories: value = the index in `categories`."""

    name: str
    categories: tuple[str, ...]

    def __post_init__(self):
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise UserError(
                f"column {self.name!r}: expected one or more different categories, "
                f"got {self.categories}"
            )

    def value(self, cell: Any) -> float:
        """The index; NaN for a category that the training split does not have."""
        category = _category(cell)
        return float(self.categories.index(category)) if category in self.categories else math.nan


Column = Union[Numeric, Categorical]


@dataclass(frozen=True)
class TableTransform(Transform):
    """One row of a table per example."""

    columns: tuple[Column, ...]  # in the order in which the encoder reads them

    def __post_init__(self):
        if not self.columns:
            raise UserError("columns: expected at least one, got none")
        twice = [name for name, count in Counter(self._names).items() if count > 1]
        if twice:
            raise UserError(f"columns: expected different names, got {twice[0]!r} twice")

    @classmethod
    def fit(cls, rows: Sequence) -> "TableTransform":
        """Columns of strings or booleans are categorical, columns of numbers are numeric.

        Write codes as strings to make them categories. Categories are ordered by frequency, then
        alphabetically. A constant number is only centred. Columns are in the order in which they
        first appear in the rows, which are mappings from columns to cells, or None.
        """
        for i, row in enumerate(rows):
            with _errors_name(f"table in row {i}"):
                _check_row(row, None)
        names = dict.fromkeys(name for row in rows if row is not None for name in row)
        return cls(columns=tuple(_fitted(name, rows) for name in names))

    @property
    def categories(self) -> tuple[int, ...]:
        """The number of categories of each column; 0 for a numeric one."""
        return tuple(
            len(column.categories) if isinstance(column, Categorical) else 0
            for column in self.columns
        )

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 `[b, column]` and mask `[b, column]`, False for missing or unknown cells.

        A row is a mapping from columns to cells, or None. A cell is missing where it is None or
        NaN or its column is absent; it is unknown where training never saw its category.
        """
        values, mask = stack_rows("table", rows, (len(self.columns),), self._values)
        present = mask[:, None] & ~np.isnan(values)
        return Masked(np.where(present, values, np.float32(0)), present)

    def read(self, text: str, folder: Path) -> Mapping[str, Any]:
        """A JSON object such as `{"age": 63, "sex": "f"}`."""
        row = parse_row(text)
        self._values(row)
        return row

    def remarks(self, row: Any) -> list[str]:
        """Missing and unknown cells."""
        missing, unknown = [], []
        for column in self.columns:
            cell = row.get(column.name)
            if _missing(cell):
                missing.append(column.name)
            elif math.isnan(column.value(cell)):
                unknown.append(f"{column.name}={cell!r}")
        return [
            f"{len(cells)} cell{'s' * (len(cells) > 1)} {what}: {', '.join(cells)}"
            for what, cells in (("missing", missing), ("unknown", unknown))
            if cells
        ]

    @property
    def _names(self) -> list[str]:
        return [column.name for column in self.columns]

    def _values(self, row: Any) -> list[float]:
        """The value of each column, NaN where it is missing or unknown."""
        _check_row(row, self._names)
        values = []
        for column in self.columns:
            cell = row.get(column.name)
            with _errors_name(f"column {column.name!r}"):
                values.append(math.nan if _missing(cell) else column.value(cell))
        return values


def parse_row(text: str) -> dict[str, Any]:
    """The JSON object in `text`; a UserError for anything else, or a column that is given twice."""
    try:
        row = json.loads(text, object_pairs_hook=_unique)
    # RecursionError: deeply nested brackets. ValueError also for integers of too many digits.
    except (ValueError, RecursionError) as error:
        raise UserError(f"expected a JSON object, got {text[:200]!r}: {error}") from error
    if not isinstance(row, dict):
        raise UserError(f"expected a JSON object of columns and cells, got {text[:200]!r}")
    return row


def check_cells(row: Mapping[str, Any], columns: Mapping[str, Column]) -> dict[str, Column]:
    """Check a row before anything is fitted; returns `columns` with those that are new in it.

    The first cell of a column that is not None decides its kind. Raises a UserError that names the
    column for a cell of another kind.
    """
    columns = dict(columns)
    for name, cell in row.items():
        if cell is None:
            continue
        if name not in columns:
            columns[name] = (
                Categorical(name, ("",)) if _is_category(cell) else Numeric(name, 0.0, 1.0)
            )
        with _errors_name(f"column {name!r}"):
            columns[name].value(cell)
    return columns


@contextlib.contextmanager
def _errors_name(what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"{what}: {error}") from None


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
    values = []
    for i, cell in cells:
        with _errors_name(f"table in row {i}: column {name!r}"):
            values.append(_category(cell) if categorical else _number(cell))
    if categorical:
        counts = Counter(values)
        ranked = sorted(counts, key=lambda category: (-counts[category], category))
        return Categorical(name, tuple(ranked))
    mean, std = mean_and_std(np.array(values))
    return Numeric(name, mean=float(mean), std=float(std))


def _missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, Real) and bool(cell != cell))  # NaN


def _is_category(cell: Any) -> bool:
    return isinstance(cell, (str, bool, np.bool_))


def _category(cell: Any) -> str:
    """Booleans become "true" and "false", as in JSON."""
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
    if not abs(value) <= LARGEST:
        raise UserError(f"expected a finite number that fits into float32, got {value:g}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, cell in pairs:
        if name in row:
            raise UserError(f"column {name!r} is given twice")
        row[name] = cell
    return row
