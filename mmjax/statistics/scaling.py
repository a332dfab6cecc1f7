"""Calibration after training: probabilities that are right as often as they say.

Fitted on examples that the training has not seen, and applied to logits of new ones.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Float, Int

Logits = Float[np.ndarray, "example class"]
Labels = Int[np.ndarray, "example"]


@final
@dataclasses.dataclass(frozen=True)
class Temperature:
    """p = softmax(logits / temperature), Guo et al. 2017, arXiv:1706.04599."""

    temperature: float

    @classmethod
    def fit(cls, logits: Logits, labels: Labels) -> "Temperature":
        """The temperature in 0.01..100 of the lowest log loss; the order of classes never changes.

        A single class, or none wrong, gives an end of this range.
        """

        def loss(log_temperature: float) -> float:
            log_p = scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)
            return float(-np.mean(log_p[np.arange(len(labels)), labels]))

        bounds = (np.log(0.01), np.log(100.0))
        found: Any = scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded")
        return cls(float(np.exp(found.x)))

    def __call__(self, logits: Logits) -> Float[np.ndarray, "example class"]:
        return scipy.special.softmax(logits / self.temperature, axis=1)


@final
@dataclasses.dataclass(frozen=True)
class Isotonic:
    """p_c = f_c(softmax(logits)_c) / sum over classes, f_c rising, Zadrozny and Elkan 2002 (KDD).

    Needs about a thousand examples; may change which class is the most probable. Fitted to one
    class against the rest, so that of two classes both sum to 1 without division.
    """

    knots: Sequence[Sequence[float]]  # by class: probabilities before
    values: Sequence[Sequence[float]]  # and after; linear between them

    @classmethod
    def fit(cls, logits: Logits, labels: Labels) -> "Isotonic":
        """By `scipy.optimize.isotonic_regression` of each class; equal probabilities are pooled."""
        p = scipy.special.softmax(logits, axis=1)
        knots, values = [], []
        for place in range(p.shape[1]):
            at, where, count = np.unique(p[:, place], return_inverse=True, return_counts=True)
            share = np.bincount(where, labels == place) / count
            fitted = scipy.optimize.isotonic_regression(share, weights=count)
            # Only the ends of each level are kept.
            kept = np.ones(len(at), bool)
            kept[1:-1] = (np.diff(fitted.x)[:-1] != 0) | (np.diff(fitted.x)[1:] != 0)
            knots.append(at[kept].tolist())
            values.append(fitted.x[kept].tolist())
        return cls(knots, values)

    def __call__(self, logits: Logits) -> Float[np.ndarray, "example class"]:
        p = scipy.special.softmax(logits, axis=1)
        pairs = zip(p.T, self.knots, self.values, strict=True)
        scaled = np.stack([np.interp(own, at, to) for own, at, to in pairs], axis=1)
        total = scaled.sum(axis=1, keepdims=True)
        # Where no class is probable at all: as before.
        return np.where(total > 0, scaled / np.where(total > 0, total, 1), p)


def two_classes(logits: Float[np.ndarray, "example"]) -> Logits:
    """Logits of no and yes from the log odds of yes."""
    return np.stack([np.zeros_like(logits), logits], axis=1)
