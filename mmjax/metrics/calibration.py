"""Expected calibration error, Naeini et al. 2015 (AAAI); Guo et al. 2017, arXiv:1706.04599."""

import numpy as np

from mmjax.metrics.examples import Numbers


def calibration_error(
    probability: Numbers, labels: Numbers, weight: Numbers, *, bins: int = 15
) -> float:
    """ECE = sum_k n_k / n |mean label in bin k - mean probability in bin k|, in 0..1.

    Bins of equal width over 0..1, closed on the right, the first also on the left. The value
    depends on their number; 15 is Guo's choice.

    With the probabilities of label 1 this is Naeini's definition, as in scikit-learn's
    `calibration_curve`. With the probability of the predicted class, and label 1 where that class
    is right, it is Guo's definition for several classes.

    Args:
        probability: in 0..1
        labels: 0 or 1
        weight: above 0

    Raises:
        ValueError: fewer than 1 bin.
    """
    if bins < 1:
        raise ValueError(f"calibration: expected at least 1 bin, got {bins}")
    place = np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1], probability)
    label = np.bincount(place, weight * labels, minlength=bins)
    predicted = np.bincount(place, weight * probability, minlength=bins)
    total = np.sum(np.bincount(place, weight, minlength=bins))
    return float(np.sum(np.abs(label - predicted)) / total)
