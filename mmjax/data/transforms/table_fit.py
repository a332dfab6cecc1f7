"""Fits the transform of tables to training rows that come one by one."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from mmjax.data.standardize import Moments
from mmjax.data.transforms.cells import is_category, is_missing
from mmjax.data.transforms.table import (
    Categorical,
    Column,
    Numeric,
    TableTransform,
    category_of,
    check_row,
    number_of,
)
from mmjax.errors import UserError, errors_name

_ODD = 0.05  # share of texts that are no numbers in a column of numbers
_BLOCK = 4096
MOST_CATEGORIES = 10_000  # of a column, the most frequent ones; others are unknown


class TableFit:
    """Collects what `TableTransform` needs from rows that are added one by one."""

    def __init__(self, categorical: Collection[str] = ()) -> None:
        """`categorical`: columns whose numbers are names, such as codes."""
        self._named = categorical
        self._columns: dict[str, _ColumnFit] = {}

    def add(self, row: Any) -> None:
        """Add a mapping from columns to cells, or None; UserError for anything else."""
        check_row(row, None)
        for name, cell in (row or {}).items():
            if name not in self._columns:
                self._columns[name] = _ColumnFit()
            with errors_name(f"column {name!r}"):
                self._columns[name].add(cell)

    def result(self) -> TableTransform:
        """The fitted transform; UserError where a column has no cell."""
        return TableTransform(
            tuple(column.result(n, n in self._named) for n, column in self._columns.items())
        )


class _ColumnFit:
    def __init__(self) -> None:
        self._count = 0
        self._categories: Counter[str] = Counter()  # at most twice MOST_CATEGORIES
        self._others = 0  # cells that are neither texts nor booleans
        self._kinds = ((False, _Numbers()), (True, _Numbers()))  # of numbers, and of dates

    def add(self, cell: Any) -> None:
        if is_missing(cell):
            return
        self._count += 1
        self._categories[category_of(cell)] += 1
        if len(self._categories) > 2 * MOST_CATEGORIES:  # such as numbers, all different
            self._categories = Counter(dict(self._categories.most_common(MOST_CATEGORIES)))
        self._others += not is_category(cell)
        for date, numbers in self._kinds:
            try:
                numbers.add(number_of(cell, date))
            except UserError:
                if not (is_category(cell) or date):
                    raise

    def result(self, name: str, named: bool) -> Column:
        if not self._count:
            raise UserError(f"column {name!r}: expected a cell that is not missing, got none")
        for date, numbers in self._kinds:
            moments = numbers.moments()
            typed = self._others and not date
            if not named and (typed or moments.count > (1 - _ODD) * self._count):
                mean, std = moments.result()
                return Numeric(name, float(mean), float(std), date)
        counts = self._categories
        ranked = sorted(counts, key=lambda category: (-counts[category], category))
        return Categorical(name, tuple(ranked[:MOST_CATEGORIES]))


class _Numbers:
    """Numbers that are added one by one; NumPy gets them in blocks."""

    def __init__(self) -> None:
        self._moments, self._waiting = Moments(), []

    def add(self, value: float) -> None:
        self._waiting.append(value)
        if len(self._waiting) == _BLOCK:
            self.moments()

    def moments(self) -> Moments:
        self._moments.add(np.array(self._waiting))
        self._waiting = []
        return self._moments
