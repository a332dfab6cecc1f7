"""Targets that are a number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.targets.target import Target
from mmjax.errors import UserError
from mmjax.types import Masked


@final
@dataclass(frozen=True)
class Number(Target):
    """value = (x - mean) / std, with the statistics of the training split."""

    mean: float
    std: float  # above 0
    unit: str = ""  # of x, where it is known

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean) or not 0 < self.std < math.inf:
            raise UserError(f"expected a finite mean and std above 0, got {self.mean}, {self.std}")

    @classmethod
    def fit(cls, rows: Sequence | np.ndarray, *, unit: str = "") -> "Number":
        """Mean and standard deviation of the training rows; a constant is only centred."""
        present = np.array([row for row in rows if row is not None], np.float64)
        if not present.size:
            raise UserError("expected a number in the training split, got none")
        std = float(np.std(present))
        constant = std <= 1e-9 * np.abs(present).max()
        return cls(float(np.mean(present)), 1.0 if constant else std, unit)

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Standardised numbers float32 `[b]` and mask `[b]`; a row is a finite number or None."""
        mask = np.array([row is not None for row in rows], bool)
        values = np.array([self.mean if row is None else row for row in rows], np.float64)
        if not np.all(np.isfinite(values)):
            row = int(np.argmin(np.isfinite(values)))
            raise UserError(f"row {row}: expected a finite number, got {rows[row]!r:.60}")
        return Masked(((values - self.mean) / self.std).astype(np.float32), mask)

    def read(self, text: str) -> float:
        """A number such as 3, -0.5 or 1e-3."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"expected a finite number, got {text!r:.60}")
        return value
