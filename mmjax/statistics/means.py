"""Mean and spread of repeated runs, with Student's interval."""

from collections.abc import Sequence

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float

from mmjax.statistics.bootstrap import Interval

LEVEL = 0.95  # confidence level of the intervals of `spread`


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


def wilson(right: Float[np.ndarray, "example"]) -> Interval:
    """The 95 % interval of a share, Wilson 1927 (JASA): also where all are right, or all wrong."""
    found = scipy.stats.binomtest(int(right.sum()), len(right)).proportion_ci(LEVEL, "wilson")
    return Interval(float(right.mean()), float(found.low), float(found.high))
