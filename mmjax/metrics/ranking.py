"""Exact rank metrics of binary scores, weighted, with ties: AUROC and average precision.

They need all examples of a split at once: a mean over batches is another number.
"""

import numpy as np
from jaxtyping import Float

from mmjax.metrics.examples import Labels, Weight, counted


def auroc(scores: Labels, labels: Labels, weight: Weight) -> float:
    """P(score of a positive > score of a negative) + P(equal) / 2, in 0..1.

    The area under the ROC curve, Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747. Only
    the order of the scores matters; prefer logits to probabilities, which saturate into ties.
    Several labels per example are ranked together (a micro average).

    Returns:
        NaN where only one class is present: there is no pair to compare.

    Raises:
        ValueError: as in `counted`.
    """
    positive, negative = _by_score(scores, labels, weight)
    if not (positive.any() and negative.any()):
        return float("nan")
    positive, negative = positive / positive.sum(), negative / negative.sum()
    above = np.cumsum(positive) - positive
    # min: the sum of many rounded weights may end slightly above 1.
    return min(float(np.sum(negative * (above + 0.5 * positive))), 1.0)


def average_precision(scores: Labels, labels: Labels, weight: Weight) -> float:
    """sum_k (recall_k - recall_{k-1}) precision_k over the thresholds, in 0..1.

    Not interpolated, as scikit-learn's `average_precision_score`. A random score gives the share of
    positives.

    Returns:
        NaN where only one class is present (scikit-learn gives 0 or 1).

    Raises:
        ValueError: as in `counted`.
    """
    positive, negative = _by_score(scores, labels, weight)
    if not (positive.any() and negative.any()):
        return float("nan")
    found = np.cumsum(positive)
    precision = found / (found + np.cumsum(negative))
    return min(float(np.sum(positive / positive.sum() * precision)), 1.0)


def _by_score(
    scores: Labels, labels: Labels, weight: Weight
) -> tuple[Float[np.ndarray, "score"], Float[np.ndarray, "score"]]:
    """The weight of positives and of negatives at every distinct score, highest first."""
    scores, labels, weight = counted(scores, labels, weight)
    _, place = np.unique(-scores, return_inverse=True)
    return np.bincount(place, weight * labels), np.bincount(place, weight * (1 - labels))
