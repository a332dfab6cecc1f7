"""Expected calibration error, Naeini et al. 2015 (AAAI); Guo et al. 2017, arXiv:1706.04599."""

import dataclasses

import numpy as np
import scipy.special
from jaxtyping import Float, Shaped

from mmjax.metrics.examples import counted
from mmjax.types import AnyArray


@dataclasses.dataclass(frozen=True)
class CalibrationBins:
    """ECE = sum_k n_k / n |mean label in bin k - mean probability in bin k|.

    Naeini's definition for two classes, as in scikit-learn's `calibration_curve`: p is the
    probability of label 1, binned over all of 0..1, in bins of equal width closed on the right,
    the first also on the left. (Guo's confidence in the predicted class would leave half of the
    bins empty, and cannot see that one class is overrated and the other underrated.) The value
    depends on the number of bins: 15, Guo's choice, unless told otherwise.
    """

    weight: Float[np.ndarray, "bin"]
    probability: Float[np.ndarray, "bin"]  # weighted sum of the probabilities
    label: Float[np.ndarray, "bin"]  # weighted sum of the labels

    @classmethod
    def of(
        cls,
        logits: Shaped[AnyArray, "batch *label"],
        labels: Shaped[AnyArray, "batch *label"],
        weight: Shaped[AnyArray, "batch"],
        *,
        bins: int = 15,
    ) -> "CalibrationBins":
        """The sums of a batch, on the host; several labels per example count alike.

        Raises:
            ValueError: as `counted`; fewer than 1 bin.
        """
        logits, labels, weight = counted(logits, labels, weight)
        return cls._of_sorted(scipy.special.expit(logits), labels, weight, bins)

    @classmethod
    def of_probabilities(
        cls,
        probability: Shaped[AnyArray, "batch *label"],
        labels: Shaped[AnyArray, "batch *label"],
        weight: Shaped[AnyArray, "batch"],
        *,
        bins: int = 15,
    ) -> "CalibrationBins":
        """The sums of a batch whose probabilities of label 1, 0..1, are known instead of logits.

        With the probability of the predicted class, and label 1 where that class is right, these
        are Guo's bins for several classes.

        Raises:
            ValueError: as `counted`; fewer than 1 bin.
        """
        return cls._of_sorted(*counted(probability, labels, weight), bins)

    @classmethod
    def _of_sorted(
        cls,
        probability: Float[np.ndarray, "example"],
        labels: Float[np.ndarray, "example"],
        weight: Float[np.ndarray, "example"],
        bins: int,
    ) -> "CalibrationBins":
        if bins < 1:
            raise ValueError(f"calibration: expected at least 1 bin, got {bins}")
        place = np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1], probability)
        return cls(
            weight=np.bincount(place, weight, minlength=bins),
            probability=np.bincount(place, weight * probability, minlength=bins),
            label=np.bincount(place, weight * labels, minlength=bins),
        )

    def __add__(self, other: "CalibrationBins") -> "CalibrationBins":
        if len(self.weight) != len(other.weight):
            raise ValueError(
                f"calibration: cannot add {len(self.weight)} bins and {len(other.weight)}"
            )
        return CalibrationBins(
            self.weight + other.weight,
            self.probability + other.probability,
            self.label + other.label,
        )

    def compute(self) -> float:
        """The expected calibration error in 0..1; 0 is perfect."""
        return float(np.sum(np.abs(self.label - self.probability)) / np.sum(self.weight))
