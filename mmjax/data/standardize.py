"""Standardisation, (x - mean) / std, with the statistics of the training split."""

from collections.abc import Sequence

import numpy as np

from mmjax.errors import UserError

LARGEST = float(np.finfo(np.float32).max)


def mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the first axis; see `Moments`."""
    moments = Moments()
    moments.add(values)
    return moments.result()


class Moments:
    """Mean and standard deviation of rows that are added one by one or in blocks.

    Blocks are joined as in Chan et al. 1983, doi:10.1080/00031305.1983.10483115: nothing is
    subtracted from large sums, so no digits are lost.
    """

    def __init__(self) -> None:
        self.count, self._mean, self._squares, self._peak = 0, np.zeros(()), np.zeros(()), 0.0

    def add(self, values: np.ndarray) -> None:
        """Add rows `[n, ...]`."""
        new = len(values)
        if not new:
            return
        mean = values.mean(axis=0)
        squares = ((values - mean) ** 2).sum(axis=0)
        total, change = self.count + new, mean - self._mean
        self._squares = self._squares + squares + change**2 * (self.count * new / total)
        self._mean = self._mean + change * (new / total)
        self._peak = np.maximum(self._peak, np.abs(values).max(axis=0))
        self.count = total

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of all rows; the deviation of a constant is 1.

        A deviation of at most 1e-9 of the largest value is rounding error, so the values are
        constant.
        """
        std = np.sqrt(self._squares / self.count)
        return np.asarray(self._mean), np.where(std <= 1e-9 * self._peak, 1.0, std)


def check_statistics(mean: Sequence[float], std: Sequence[float], size: int) -> None:
    """Raise a UserError unless there are `size` finite means and `size` finite stds above 0."""
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != size or not np.isfinite(values).all():
            raise UserError(
                f"{name}: expected {size} finite number{'s' * (size > 1)}, got {values}"
            )
    if min(std) <= 0:
        raise UserError(f"std: expected numbers above 0, got {std}")
