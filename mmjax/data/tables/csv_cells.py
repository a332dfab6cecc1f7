"""Cells of a user's CSV file, read before anything is fitted: what is wrong is known before."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.transforms.features import FeatureTransform, open_features
from mmjax.data.transforms.table import Categorical, Column, Numeric, TableTransform
from mmjax.errors import UserError

Reader = Callable[[str, Path], Any]
"""From what stands in a cell, and the folder where its path starts; UserError or OSError."""


def read_text(text: str, folder: Path) -> str:
    """The cell itself, whatever the vocabulary will be."""
    return text


class FeatureReader:
    """Files of as many features as the first one has."""

    def __init__(self) -> None:
        self._draft: FeatureTransform | None = None

    def __call__(self, text: str, folder: Path) -> np.ndarray:
        """The array, finite."""
        draft = self._draft
        if draft is None:
            width = np.atleast_1d(open_features(folder / text)).shape[-1]
            if width == 0:
                raise UserError(f"{folder / text}: expected one feature or more, got none")
            draft = FeatureTransform(max_tokens=1, mean=(0.0,) * width, std=(1.0,) * width)
        found = draft.read(text, folder)
        self._draft = draft
        return found


class TableReader:
    """JSON objects; a column is of numbers or of categories, as its first cell is."""

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {}

    def __call__(self, text: str, folder: Path) -> Mapping[str, Any]:
        """The row; a cell that is missing is null or left out, and never NaN."""
        try:
            shown = json.loads(text)
        except (ValueError, RecursionError):
            shown = None  # `read` says what is wrong
        shown = shown if isinstance(shown, dict) else {}
        new = {name: _column(name, cell) for name, cell in shown.items()}
        columns = new | self._columns or {"": Numeric("", 0.0, 1.0)}
        row = TableTransform(columns=tuple(columns.values())).read(text, folder)
        for name, cell in row.items():
            if isinstance(cell, float) and math.isnan(cell):
                raise UserError(f"column {name!r}: expected a number or null, got NaN")
        told = {name for name, cell in row.items() if cell is not None}
        self._columns |= {name: new[name] for name in told - set(self._columns)}
        return row


def _column(name: str, cell: Any) -> Column:
    if isinstance(cell, str | bool):
        return Categorical(name, ("",))
    return Numeric(name, mean=0.0, std=1.0)
