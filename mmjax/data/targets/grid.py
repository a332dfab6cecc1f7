"""Targets that say of each cell of a grid whether it is occupied."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.targets.target import Target
from mmjax.errors import UserError
from mmjax.types import Masked

UNKNOWN = 255  # in place of 0 and 1


@final
@dataclass(frozen=True)
class Grid(Target):
    """1 where a cell is occupied, 0 where it is free; unknown cells count for nothing."""

    shape: tuple[int, int]  # rows along x, cells along y

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise UserError(f"shape: expected rows and cells, at least 1 each, got {self.shape}")

    @classmethod
    def fit(cls, rows: Iterable) -> "Grid":
        """The shape of the first grid."""
        first = next((np.shape(row) for row in rows if row is not None), None)
        if first is None or len(first) != 2:
            raise UserError(f"expected grids [row, cell] in the training split, got {first}")
        return cls((int(first[0]), int(first[1])))

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 and mask, both `[b, row, cell]`; a row is an array of 0, 1, 255 or None.

        The mask is False where the cell is 255, which stands for unknown, or the row is None.
        """
        values = np.full((len(rows), *self.shape), UNKNOWN, np.uint8)
        for i, row in enumerate(rows):
            if row is None:
                continue
            grid = np.asarray(row)
            if grid.shape != self.shape or not np.isin(grid, (0, 1, UNKNOWN)).all():
                raise UserError(
                    f"row {i}: expected a grid {self.shape} of 0, 1 and {UNKNOWN} for unknown, got "
                    f"the shape {grid.shape}, values {np.unique(grid)[:5].tolist()} ..."
                )
            values[i] = grid
        mask = values != UNKNOWN
        return Masked(np.where(mask, values, 0).astype(np.float32), mask)

    @staticmethod
    def read(text: str) -> np.ndarray:
        """The grid of a text such as "001/1?0": 1 occupied, 0 free, ? unknown, rows apart by /."""
        rows = text.strip().split("/")
        if not rows[0] or any(len(row) != len(rows[0]) or set(row) - set("01?") for row in rows):
            raise UserError(f'expected rows of 0, 1 and ?, such as "001/1?0", got {text!r:.60}')
        return np.array([[UNKNOWN if c == "?" else int(c) for c in row] for row in rows], np.uint8)
