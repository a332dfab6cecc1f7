"""Tables: standardised numbers and numbered categories; each cell may be missing."""

import json
import math
import reprlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Union

import numpy as np

from mmjax.data.standardize import LARGEST, check_statistics
from mmjax.data.transforms.cells import days, is_category, is_missing, number
from mmjax.data.transforms.transform import Remark, Transform, stack_rows
from mmjax.errors import UserError, errors_name
from mmjax.types import Masked


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: value = (x - mean) / std."""

    name: str
    mean: float
    std: float  # above 0
    date: bool = False  # cells are dates, and x the days since 1970

    def __post_init__(self):
        with errors_name(f"column {self.name!r}"):
            check_statistics((self.mean,), (self.std,), size=1)

    def value(self, cell: Any) -> float:
        """The standardised number. Raises a UserError for a cell that is not a finite number."""
        value = (number_of(cell, self.date) - self.mean) / self.std
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
        category = category_of(cell)
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
    def fit(cls, rows: Iterable, *, categorical: Collection[str] = ()) -> "TableTransform":
        """Fit the columns of the training rows, which are mappings from columns to cells, or None.

        A column whose cells are numbers or dates, also as texts, is numeric, any other categorical,
        as are those that `categorical` names. Of texts, fewer than 1 in 20 may be no numbers; their
        rows are refused later. Categories are the 10,000 most frequent, then alphabetically. A
        constant number is only centred. Columns are in the order in which they first appear.
        """
        from mmjax.data.transforms.table_fit import TableFit  # which makes this class

        fitting = TableFit(categorical)
        for i, row in enumerate(rows):
            with errors_name(f"table in row {i}"):
                fitting.add(row)
        return fitting.result()

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

    def remarks(self, row: Any) -> list[Remark]:
        """Missing and unknown cells."""
        missing, unknown = [], []
        check_row(row, self._names)
        for column in self.columns:
            cell = row.get(column.name)
            with errors_name(f"column {column.name!r}"):
                if is_missing(cell):
                    missing.append(column.name)
                elif math.isnan(column.value(cell)):
                    unknown.append(f"{column.name}={cell!r}")
        return [
            Remark(what, f"{len(cells)} cell{'s' * (len(cells) > 1)} {what}: {', '.join(cells)}")
            for what, cells in (("missing", missing), ("unknown", unknown))
            if cells
        ]

    @property
    def _names(self) -> list[str]:
        return [column.name for column in self.columns]

    def _values(self, row: Any) -> list[float]:
        """The value of each column, NaN where it is missing or unknown."""
        check_row(row, self._names)
        values = []
        for column in self.columns:
            cell = row.get(column.name)
            with errors_name(f"column {column.name!r}"):
                values.append(math.nan if is_missing(cell) else column.value(cell))
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


def check_row(row: Any, names: Sequence[str] | None) -> None:
    """UserError for a row that is neither None nor a mapping, or has other columns than `names`."""
    if row is None:
        return
    if not isinstance(row, Mapping):
        raise UserError(f"expected a mapping from columns to cells, got {type(row).__name__}")
    for name in row:
        if names is not None and name not in names:
            raise UserError(f"no column {name!r}; choose from {', '.join(map(repr, names))}")


def category_of(cell: Any) -> str:
    """Booleans become "true" and "false", as in JSON, and 3.0 becomes "3"."""
    if not isinstance(cell, (str, Real, np.bool_)):
        raise UserError(f"expected a category as text, got {cell!r:.60}")
    if isinstance(cell, (bool, np.bool_)):
        return str(bool(cell)).lower()
    if isinstance(cell, Real):
        return str(int(float(cell)) if float(cell).is_integer() else cell)
    return str(cell)


def number_of(cell: Any, date: bool = False) -> float:
    """The number, or the days since 1970, of a cell; UserError if it is none."""
    what = "a date" if date else "a number"
    found = cell
    if isinstance(cell, str):
        found = days(cell) if date else number(cell)
    elif date or is_category(cell):
        found = None
    if not isinstance(found, Real):
        # A nest may be too deep for its own repr.
        got = reprlib.repr(cell) if isinstance(cell, (list, dict)) else repr(cell)
        raise UserError(f"expected {what}, got {got:.60}")
    try:
        value = float(found)
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
