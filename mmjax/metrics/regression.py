"""Metrics of predicted numbers: errors and correlations."""

import numpy as np

from mmjax.metrics.examples import Numbers, Values, counted_numbers


def regression_metrics(predicted: Values, target: Values, weight: Values) -> dict[str, float]:
    """Metrics of a whole split, exact, in float64 on the host.

    An example of weight 3 counts as three examples of weight 1, in ranks too; only ratios of
    weights matter. The order of the examples, and examples of weight 0, change no bit of the
    result.

    Args:
        predicted, target: `[example]`, finite, in one unit
        weight: `[example]`, at least 0

    Returns:
        mae, rmse: mean absolute error and root mean square error, in the unit of the target.
        r2: 1 - sum w (target - predicted)^2 / sum w (target - mean)^2, at most 1; NaN where the
            target does not vary.
        pearson: linear correlation, -1..1; NaN where predictions or targets do not vary.
        spearman: Pearson's correlation of the ranks, ties at their mean rank; NaN as pearson.

    Raises:
        ValueError: as in `counted_numbers`.
    """
    predicted, target, weight = counted_numbers(predicted, target, weight)
    share = weight / weight.sum()
    error = predicted - target
    square = float(np.sum(share * error**2))
    variance = float(np.sum(share * (target - np.sum(share * target)) ** 2))
    varies = target.min() < target.max() and variance > 0  # a constant's variance may be rounded
    return {
        "mae": float(np.sum(share * np.abs(error))),
        "rmse": square**0.5,
        "r2": 1 - square / variance if varies else float("nan"),
        "pearson": _correlation(predicted, target, share),
        "spearman": _correlation(_ranks(predicted, share), _ranks(target, share), share),
    }


def _correlation(left: Numbers, right: Numbers, share: Numbers) -> float:
    """Pearson's correlation for shares that sum to 1; NaN where either side does not vary."""
    if left.min() == left.max() or right.min() == right.max():
        return float("nan")
    left, right = left - np.sum(share * left), right - np.sum(share * right)
    # Scaled, so that the squares of tiny or huge numbers are neither 0 nor infinite.
    left, right = left / np.abs(left).max(), right / np.abs(right).max()
    variances = np.sum(share * left**2) * np.sum(share * right**2)
    return float(np.clip(np.sum(share * left * right) / np.sqrt(variances), -1.0, 1.0))


def _ranks(values: Numbers, share: Numbers) -> Numbers:
    """The share of smaller values plus half the share of equal ones: the mean rank, scaled."""
    _, place = np.unique(values, return_inverse=True)
    at = np.bincount(place, share)
    return (np.cumsum(at) - at / 2)[place]
