"""Targets that are the path of a vehicle, as waypoints."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.standardize import check_statistics, mean_and_std
from mmjax.data.targets.target import Target
from mmjax.errors import UserError
from mmjax.types import Masked


@final
@dataclass(frozen=True)
class Route(Target):
    """value = (place - mean) / std for x and y of each waypoint, of the training split."""

    mean: tuple[tuple[float, float], ...]  # of each waypoint, in metres: x forward, y to the left
    std: tuple[tuple[float, float], ...]  # above 0

    def __post_init__(self) -> None:
        flat = [tuple(number for place in values for number in place) for values in self._both]
        check_statistics(*flat, size=2 * len(self.mean))

    @property
    def _both(self) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
        return self.mean, self.std

    @classmethod
    def fit(cls, rows: Iterable) -> "Route":
        """Mean and standard deviation of each waypoint; unknown waypoints (NaN) do not count."""
        paths = [np.asarray(row, np.float64) for row in rows if row is not None]
        if not paths or paths[0].ndim != 2 or any(path.shape != paths[0].shape for path in paths):
            raise UserError("expected paths [waypoint, 2] of one length in the training split")
        values = np.stack(paths)
        mean, std = np.zeros(values.shape[1:]), np.ones(values.shape[1:])
        for place in np.ndindex(values.shape[1:]):
            known = values[(slice(None), *place)]
            known = known[np.isfinite(known)]
            if len(known):
                mean[place], std[place] = mean_and_std(known)
        return cls(*(tuple((float(x), float(y)) for x, y in value) for value in (mean, std)))

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 and mask, both `[b, waypoint, 2]`; a row is `[waypoint, 2]` or None.

        The mask is False for waypoints that are unknown (NaN), and where the row is None.
        """
        shape = (len(self.mean), 2)
        places = np.full((len(rows), *shape), np.nan)
        for i, row in enumerate(rows):
            if row is not None:
                if np.shape(row) != shape or np.any(np.isinf(np.asarray(row))):
                    raise UserError(f"row {i}: expected metres {shape}, got {np.shape(row)}")
                places[i] = row
        mask = np.broadcast_to(np.isfinite(places).all(axis=2, keepdims=True), places.shape)
        values = (places - np.array(self.mean)) / np.array(self.std)
        return Masked(np.where(mask, values, 0).astype(np.float32), mask.copy())

    def metres(self, values: np.ndarray) -> np.ndarray:
        """Standardised waypoints in metres, `[..., waypoint, 2]`."""
        return np.asarray(values, np.float64) * np.array(self.std) + np.array(self.mean)

    @staticmethod
    def read(text: str) -> np.ndarray:
        """The path of a text such as "0 0; 1.5 0.1": x and y of each waypoint; "?" is unknown."""
        try:
            rows = [
                [np.nan, np.nan] if part.strip() == "?" else [float(n) for n in part.split()]
                for part in text.split(";")
            ]
        except ValueError:
            rows = [[]]
        if any(len(row) != 2 for row in rows):
            raise UserError(f'expected waypoints such as "0 0; 1.5 0.1", got {text!r:.60}')
        return np.array(rows)
