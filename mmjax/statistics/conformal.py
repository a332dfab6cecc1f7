"""Split conformal prediction: sets of classes and intervals of numbers that cover the truth.

Vovk et al. 2005; Angelopoulos and Bates 2021, arXiv:2107.07511. Fitted on examples that the
training has not seen. For a new example of the same distribution the truth is covered with
probability 1 - alpha at least, on average over calibration splits.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int

Probabilities = Float[np.ndarray, "example class"]
Classes = Int[np.ndarray, "example"]


def quantile(scores: Float[np.ndarray, "example"], alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest of n scores; infinite where n is too small.

    Raises:
        ValueError: alpha is not in 0..1, both excluded.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: expected more than 0 and less than 1, got {alpha}")
    place = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else math.inf


def fit_classes(
    probabilities: Probabilities, labels: Classes, alpha: float, *, by_class: bool = False
) -> Float[np.ndarray, "class"]:
    """For each class the largest 1 - p with which it is in a set: Sadinle et al. 2019.

    Sets are the smallest on average, arXiv:1609.00451. `by_class`: a quantile for each class, so
    that each class is covered with 1 - alpha (Mondrian); needs about 1 / alpha examples of each.
    """
    scores = 1 - probabilities[np.arange(len(labels)), labels]
    classes = probabilities.shape[1]
    if not by_class:
        return np.full(classes, quantile(scores, alpha))
    return np.array([quantile(scores[labels == c], alpha) for c in range(classes)])


def classes(
    probabilities: Probabilities, limits: Float[np.ndarray, "class"]
) -> Bool[np.ndarray, "example class"]:
    """The classes of each set; a set may be empty where no class is probable enough."""
    return 1 - probabilities <= limits


def fit_numbers(
    predicted: Float[np.ndarray, "example"], target: Float[np.ndarray, "example"], alpha: float
) -> float:
    """Half the width of the intervals predicted -+ half: the quantile of absolute errors."""
    return quantile(np.abs(target - predicted), alpha)


def coverage(sets: Bool[np.ndarray, "example class"], labels: Classes) -> tuple[float, float]:
    """Share of sets that hold the true class, and the mean size of a set."""
    inside = sets[np.arange(len(labels)), labels]
    return float(np.mean(inside)), float(np.mean(np.sum(sets, axis=1)))
