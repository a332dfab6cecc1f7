"""Metrics of binary logits."""

import numpy as np
import scipy.special

from mmjax.metrics.calibration import calibration_error
from mmjax.metrics.examples import Labels, Values, counted
from mmjax.metrics.ranking import auroc, average_precision


def binary_metrics(logits: Labels, labels: Values, weight: Values) -> dict[str, float]:
    """Threshold, rank and calibration metrics of a whole split, then its confusion matrix.

    The order of the examples, and examples of weight 0, change no bit of the result. Several labels
    per example, `[batch, label]`, are treated as so many examples (micro averages).

    Args:
        logits: log odds of label 1, which is predicted above 0
        labels: 0 or 1, shaped like `logits`
        weight: `[batch]`, at least 0

    Returns:
        accuracy, precision, recall and f1 (a quotient 0 / 0 is 0, as in scikit-learn), auroc and
        average_precision (NaN where only one class is present), calibration_error (15 bins), and
        the weighted counts of the confusion matrix.

    Raises:
        ValueError: wrong shapes, weights or labels, NaN logits, no example with positive weight.
    """
    logits, labels, weight = counted(logits, labels, weight)
    predicted, actual = logits > 0, labels > 0
    tp, fp, tn, fn = (
        float(np.sum(np.where(where, weight, 0.0)))
        for where in (
            predicted & actual,
            predicted & ~actual,
            ~predicted & ~actual,
            ~predicted & actual,
        )
    )
    return {
        "accuracy": _quotient(tp + tn, tp + fp + tn + fn),
        "precision": _quotient(tp, tp + fp),
        "recall": _quotient(tp, tp + fn),
        "f1": _quotient(2 * tp, 2 * tp + fp + fn),
        "auroc": auroc(logits, labels, weight),
        "average_precision": average_precision(logits, labels, weight),
        "calibration_error": calibration_error(scipy.special.expit(logits), labels, weight),
        "true_positives": tp,
        "false_positives": fp,
        "true_negatives": tn,
        "false_negatives": fn,
    }


def _quotient(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
