"""Statistics of repeated runs: Student's interval of a mean, Welch's test of two means."""

from collections.abc import Sequence

import numpy as np
import scipy.special

LEVEL = 0.95  # confidence level of the intervals of `spread`
SIGNIFICANCE = 0.05  # p value below which two means differ
_SAME = 1e-9  # absolute difference of values that are equal up to rounding


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation and the 95 % interval of the mean, Student 1908 (Biometrika).

    The interval, mean -+ t std / sqrt(n), holds for independent, normally distributed values.

    Returns:
        mean; std (n - 1), low and high, the ends of the interval: only where there are two values
        or more. NaN where a value is NaN, and the last three where one is infinite.

    Raises:
        ValueError: `values` is empty.
    """
    if not len(values):
        raise ValueError("values: expected at least one, got none")
    # No warning for infinite values, whose deviation is NaN.
    with np.errstate(invalid="ignore"):
        mean = float(np.mean(np.asarray(values, np.float64)))
        if len(values) < 2:
            return {"mean": mean}
        deviation = float(np.std(np.asarray(values, np.float64), ddof=1))
    half = float(scipy.special.stdtrit(len(values) - 1, (1 + LEVEL) / 2))
    half *= deviation / len(values) ** 0.5
    return {"mean": mean, "std": deviation, "low": mean - half, "high": mean + half}


def differ(left: Sequence[float], right: Sequence[float], level: float = SIGNIFICANCE) -> bool:
    """Welch's two-sided t-test of two means, Welch 1947 (Biometrika): True where p < level.

    The variances may differ. If neither side varies, means that are more than 1e-9 apart differ.
    There is no correction for the number of comparisons.

    Raises:
        ValueError: a side has fewer than two values, or a value that is not finite.
    """
    a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    for name, side in (("left", a), ("right", b)):
        if side.size < 2 or not np.isfinite(side).all():
            raise ValueError(f"{name}: expected at least 2 finite values, got {side.tolist()}")
    gap = abs(float(np.mean(a) - np.mean(b)))
    if max(np.std(a, ddof=1), np.std(b, ddof=1)) < _SAME:
        return gap > _SAME
    parts = np.array([np.var(a, ddof=1) / a.size, np.var(b, ddof=1) / b.size])
    freedom = parts.sum() ** 2 / np.sum(parts**2 / [a.size - 1, b.size - 1])
    return bool(2 * scipy.special.stdtr(freedom, -gap / np.sqrt(parts.sum())) < level)
