"""Binary targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.targets.target import Target, present
from mmjax.errors import UserError
from mmjax.types import Masked

YES = ("1", "true", "yes", "y", "t", "1.0")
NO = ("0", "false", "no", "n", "f", "0.0")


@final
@dataclass(frozen=True)
class Binary(Target):
    """Yes or no, as 1 or 0."""

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 `[b]`, 0 or 1, and mask `[b]`. A row is 0, 1, a boolean or None."""
        values = np.array([0.0 if row is None else row for row in rows], np.float32)
        wrong = ~np.isin(values, (0, 1))
        if np.any(wrong):
            row = int(np.argmax(wrong))
            raise UserError(f"row {row}: expected 0 or 1, got {rows[row]!r:.60}")
        return Masked(values, present(rows))

    @staticmethod
    def read(text: str) -> float:
        """1/0, true/false, yes/no, y/n or t/f, in upper or lower case, with blanks around it."""
        word = text.strip().lower()
        if word not in YES + NO:
            raise UserError(f"expected 1 or 0, true or false, yes or no, got {text!r:.60}")
        return float(word in YES)
