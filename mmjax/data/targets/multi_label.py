"""Targets that are any number of labels."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.targets.target import Target
from mmjax.errors import UserError
from mmjax.types import Masked

SEPARATOR = ";"


@final
@dataclass(frozen=True)
class MultiLabel(Target):
    """The labels that an example has, of those of the training split; it may have none."""

    names: tuple[str, ...]  # in the order of the columns

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise UserError(f"expected one or more different labels, got {list(self.names)}")

    @classmethod
    def fit(cls, rows: Iterable[Sequence[str] | None]) -> "MultiLabel":
        """The labels of the training rows, by alphabet."""
        return cls(tuple(sorted(Counter(name for row in rows if row is not None for name in row))))

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 `[b, label]`, 0 or 1, and mask `[b]`; a row is a list of names or None.

        Raises:
            UserError: a label is unknown.
        """
        number = {name: place for place, name in enumerate(self.names)}
        values = np.zeros((len(rows), len(self.names)), np.float32)
        mask = np.array([row is not None for row in rows], bool)
        for place, row in enumerate(rows):
            for name in row or ():
                if name not in number:
                    raise UserError(
                        f"row {place}: no training example has the label {name!r:.60}; choose "
                        f"from {', '.join(self.names)}"
                    )
                values[place, number[name]] = 1.0
        return Masked(values, mask)

    def read(self, text: str) -> list[str]:
        """The names, separated by semicolons; blanks around them do not count."""
        return [name for part in text.split(SEPARATOR) if (name := part.strip())]
