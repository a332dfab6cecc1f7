"""Targets that are any number of labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.targets.target import Target, present
from mmjax.errors import UserError
from mmjax.types import Masked

SEPARATOR = ";"


@final
@dataclass(frozen=True)
class MultiLabel(Target):
    """Any of the labels of the training split, or none of them."""

    names: tuple[str, ...]  # in the order of the columns

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise UserError(f"expected one or more different labels, got {list(self.names)}")

    @classmethod
    def fit(cls, rows: Iterable) -> "MultiLabel":
        """The labels of the training rows in alphabetical order."""
        return cls(tuple(sorted({name for row in rows if row is not None for name in row})))

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 `[b, label]`, 0 or 1, and mask `[b]`; a row is a list of names or None.

        Raises:
            UserError: a label is unknown.
        """
        numbers = {name: number for number, name in enumerate(self.names)}
        values = np.zeros((len(rows), len(self.names)), np.float32)
        for i, row in enumerate(rows):
            for name in row or ():
                if name not in numbers:
                    raise UserError(
                        f"row {i}: no training example has the label {name!r:.60}; choose "
                        f"from {', '.join(self.names)}"
                    )
                values[i, numbers[name]] = 1.0
        return Masked(values, present(rows))

    @staticmethod
    def read(text: str) -> list[str]:
        """The names, separated by semicolons, without blanks around them."""
        return [name for part in text.split(SEPARATOR) if (name := part.strip())]
