"""Targets that are a number."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.standardize import check_statistics, mean_and_std
from mmjax.data.targets.target import Target, present
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
        check_statistics((self.mean,), (self.std,), size=1)

    @classmethod
    def fit(cls, rows: Iterable, *, unit: str = "") -> "Number":
        """Mean and standard deviation of the training rows; a constant number is only centred."""
        numbers = np.array([row for row in rows if row is not None], np.float64)
        if not numbers.size:
            raise UserError("expected a number in the training split, got none")
        mean, std = mean_and_std(numbers)
        return cls(float(mean), float(std), unit)

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Standardised numbers float32 `[b]` and mask `[b]`; a row is a finite number or None."""
        values = np.array([self.mean if row is None else row for row in rows], np.float64)
        if not np.all(np.isfinite(values)):
            row = int(np.argmin(np.isfinite(values)))
            raise UserError(f"row {row}: expected a finite number, got {rows[row]!r:.60}")
        return Masked(((values - self.mean) / self.std).astype(np.float32), present(rows))

    @staticmethod
    def read(text: str) -> float:
        """A number such as 3, -0.5 or 1e-3."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"expected a finite number, got {text!r:.60}")
        return value
