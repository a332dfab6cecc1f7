"""Targets that are one class of several."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from mmjax.data.targets.target import Target
from mmjax.errors import UserError
from mmjax.types import Masked


@final
@dataclass(frozen=True)
class Category(Target):
    """A class by its name; its number is the index in `names`."""

    names: tuple[str, ...]  # in the order of their numbers
    counts: tuple[int, ...]  # examples of each in the training split
    # For a class that the training split does not have: an error, or a missing target.
    unknown: Literal["error", "missing"] = "error"

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names) or len(self.names) < 2:
            raise UserError(f"expected two different classes or more, got {list(self.names)}")
        if len(self.counts) != len(self.names):
            raise UserError(f"expected {len(self.names)} counts, got {len(self.counts)}")

    @classmethod
    def fit(cls, rows: Iterable) -> "Category":
        """The classes of the training rows: numbers in numeric order, then names alphabetically."""
        counts = Counter(row for row in rows if row is not None)
        names = sorted(counts, key=_order)
        return cls(tuple(names), tuple(counts[name] for name in names))

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Class numbers int32 `[b]` and mask `[b]`; a row is a class's name or None.

        Raises:
            UserError: a class is unknown, unless these count as missing.
        """
        numbers = {name: number for number, name in enumerate(self.names)}
        for i, row in enumerate(rows):
            if row is not None and row not in numbers and self.unknown == "error":
                raise UserError(
                    f"row {i}: no training example is of the class {row!r:.60}; choose from "
                    f"{', '.join(self.names[:20])}{' ...' if len(self.names) > 20 else ''}"
                )
        values = np.array([numbers.get(row, -1) for row in rows], np.int32)
        return Masked(np.maximum(values, 0), values >= 0)

    @staticmethod
    def read(text: str) -> str:
        """The name, without blanks around it."""
        name = text.strip()
        if not name:
            raise UserError("expected the name of a class, got blanks")
        return name


def _order(name: str) -> tuple[bool, float, str]:
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (True, 0.0, name) if math.isnan(number) else (False, number, name)
