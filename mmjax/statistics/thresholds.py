"""Decision thresholds of a probability: chosen on a validation split, judged on another."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

Scores = Float[np.ndarray, "example"]
Labels = Shaped[np.ndarray, "example"]  # 0 or 1
Rule = Literal["youden", "f1", "sensitivity", "specificity"]


class OperatingPoint(NamedTuple):
    """What deciding for label 1 from a threshold on gives; 0 / 0 is NaN."""

    threshold: float
    sensitivity: float  # share of positives that are found
    specificity: float  # share of negatives that are left alone
    precision: float  # share of findings that are right (positive predictive value)
    negative_value: float  # share of others that are right (negative predictive value)
    f1: float


def operating_point(scores: Scores, labels: Labels, threshold: float) -> OperatingPoint:
    """Label 1 is decided where the score is `threshold` or more."""
    found, positive = scores >= threshold, labels > 0
    tp, fp = np.sum(found & positive), np.sum(found & ~positive)
    fn, tn = np.sum(~found & positive), np.sum(~found & ~positive)
    with np.errstate(invalid="ignore"):
        return OperatingPoint(
            threshold=threshold,
            sensitivity=float(tp / (tp + fn)),
            specificity=float(tn / (tn + fp)),
            precision=float(tp / (tp + fp)),
            negative_value=float(tn / (tn + fn)),
            f1=float(2 * tp / (2 * tp + fp + fn)),
        )


def choose(scores: Scores, labels: Labels, rule: Rule = "youden", at_least: float = 0.9) -> float:
    """The threshold, one of the scores, that is best by a rule.

    youden: highest sensitivity + specificity (Youden 1950). f1: highest F1. sensitivity: the
    highest threshold whose sensitivity is `at_least`; specificity: the lowest whose specificity is.
    Infinite where no score reaches that.

    Raises:
        ValueError: one of the two labels has no example.
    """
    positive = labels > 0
    if positive.all() or not positive.any():
        raise ValueError("expected examples of both labels, got one label only")
    at, place = np.unique(scores, return_inverse=True)
    # Found from each threshold on: counts of the scores that are not below it.
    tp = np.cumsum(np.bincount(place, positive)[::-1])[::-1]
    fp = np.cumsum(np.bincount(place, ~positive)[::-1])[::-1]
    sensitivity = tp / np.sum(positive)
    specificity = 1 - fp / np.sum(~positive)
    match rule:
        case "youden":
            return float(at[np.argmax(sensitivity + specificity)])
        case "f1":
            return float(at[np.argmax(2 * tp / (tp + fp + np.sum(positive)))])
        case "sensitivity":
            fitting = at[sensitivity >= at_least]
            return float(fitting[-1]) if fitting.size else float("inf")
        case "specificity":
            fitting = at[specificity >= at_least]
            return float(fitting[0]) if fitting.size else float("inf")


def of_costs(false_positive: float, false_negative: float) -> float:
    """The probability from which on label 1 costs less: c_fp / (c_fp + c_fn), Elkan 2001 (IJCAI).

    Right for calibrated probabilities.
    """
    return false_positive / (false_positive + false_negative)
