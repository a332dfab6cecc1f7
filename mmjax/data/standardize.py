"""Standardisation, (x - mean) / std, with the statistics of the training split."""

from collections.abc import Sequence

import numpy as np

from mmjax.errors import UserError

LARGEST = float(np.finfo(np.float32).max)


def mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the first axis; the deviation of a constant is 1.

    A deviation of at most 1e-9 of the largest value is rounding error, so the values are constant.
    """
    std = values.std(axis=0)
    constant = std <= 1e-9 * np.abs(values).max(axis=0)
    return np.asarray(values.mean(axis=0)), np.where(constant, 1.0, std)


def check_statistics(mean: Sequence[float], std: Sequence[float], size: int) -> None:
    """Raise a UserError unless there are `size` finite means and `size` finite stds above 0."""
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != size or not np.isfinite(values).all():
            raise UserError(
                f"{name}: expected {size} finite number{'s' * (size > 1)}, got {values}"
            )
    if min(std) <= 0:
        raise UserError(f"std: expected numbers above 0, got {std}")
