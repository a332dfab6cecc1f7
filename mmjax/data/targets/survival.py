"""Targets that are a time until an event, or until it was last known not to have happened."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from mmjax.data.targets.target import Target, present
from mmjax.errors import UserError
from mmjax.types import Masked


@final
@dataclass(frozen=True)
class Survival(Target):
    """(time, event): event 1 happened at the time; event 0 had not happened by then (censored)."""

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Time and event float32 `[b, 2]` and mask `[b]`; a row is (time, event) or None."""
        for number, row in enumerate(rows):
            if row is not None and not (math.isfinite(row[0]) and row[0] >= 0 and row[1] in (0, 1)):
                raise UserError(
                    f"row {number}: expected a time of 0 or more and an event 0 or 1, got {row!r}"
                )
        values = [(0.0, 0.0) if row is None else tuple(row) for row in rows]
        return Masked(np.reshape(np.array(values, np.float32), (len(rows), 2)), present(rows))

    @staticmethod
    def read(text: str) -> Any:
        """(12.5, 1.0) of "12.5"; (12.5, 0.0) of "12.5+", a censored time as R prints it."""
        number, plus, rest = text.strip().partition("+")
        try:
            time = float(number)
        except ValueError:
            time = math.nan
        if rest or not (math.isfinite(time) and time >= 0):
            raise UserError(f'expected a time such as 12.5, censored "12.5+", got {text!r:.60}')
        return time, float(not plus)
