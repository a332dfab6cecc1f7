"""All that an evaluation reports of predicted numbers: errors and correlations."""

import numpy as np
from jaxtyping import Float, Shaped

from mmjax.metrics.examples import counted_numbers
from mmjax.types import AnyArray


def regression_metrics(
    predicted: Shaped[AnyArray, "..."],
    target: Shaped[AnyArray, "..."],
    weight: Shaped[AnyArray, "..."],
) -> dict[str, float]:
    """Metrics of a whole split, exact, in float64 on the host.

    Weights are frequencies: an example of weight 3 counts as three examples of weight 1, in ranks
    too. Only ratios of weights matter. The same bits in whatever order the examples came, and with
    any number of examples of weight 0 among them.

    Args:
        predicted, target: `[example]`, finite, in one unit.
        weight: `[example]`, at least 0.

    Returns:
        mae, rmse: mean absolute error and root mean square error, in the unit of the target.
        r2: 1 - sum w (target - predicted)^2 / sum w (target - mean)^2, at most 1; NaN where the
            target does not vary.
        pearson: linear correlation, -1..1; NaN where predictions or targets do not vary.
        spearman: Pearson's correlation of the ranks, ties at their mean rank; NaN likewise.

    Raises:
        ValueError: shapes do not fit, a weight is negative or not finite, no weight is positive, a
            prediction or a target is not finite.
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


def _correlation(
    left: Float[np.ndarray, "example"],
    right: Float[np.ndarray, "example"],
    share: Float[np.ndarray, "example"],
) -> float:
    """Pearson's correlation, for shares that add up to 1; NaN where either does not vary."""
    if left.min() == left.max() or right.min() == right.max():
        return float("nan")
    left, right = left - np.sum(share * left), right - np.sum(share * right)
    # Scaled, so that the squares of tiny or huge numbers are neither 0 nor infinite.
    left, right = left / np.abs(left).max(), right / np.abs(right).max()
    variances = np.sum(share * left**2) * np.sum(share * right**2)
    return float(np.clip(np.sum(share * left * right) / np.sqrt(variances), -1.0, 1.0))


def _ranks(
    values: Float[np.ndarray, "example"], share: Float[np.ndarray, "example"]
) -> Float[np.ndarray, "example"]:
    """Mean rank of each value, up to a constant: the share below it plus half of that at it."""
    _, place = np.unique(values, return_inverse=True)
    at = np.bincount(place, share)
    return (np.cumsum(at) - at / 2)[place]
