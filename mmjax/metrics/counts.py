"""Accuracy, precision, recall and F1 from the four counts of a confusion matrix."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Shaped

from mmjax.types import AnyArray


@struct.dataclass
class BinaryCounts:
    """Weighted counts that add over batches and devices; a logit above 0 predicts label 1."""

    # Any: JAX also builds pytrees of shapes and sentinels.
    true_positives: Any
    false_positives: Any
    true_negatives: Any
    false_negatives: Any

    @classmethod
    def of(
        cls,
        logits: Shaped[AnyArray, "batch *label"],
        labels: Shaped[AnyArray, "batch *label"],
        weight: Shaped[AnyArray, "batch"],
    ) -> "BinaryCounts":
        """The counts of a batch, in float64 from NumPy arrays, else traced and in float32.

        Labels are 0 or 1. Several labels per example count alike (a micro average). A float32
        count is exact up to 2^24.
        """
        xp, dtype = (np, np.float64) if isinstance(logits, np.ndarray) else (jnp, jnp.float32)
        predicted, actual = logits > 0, labels.astype(dtype) > 0
        weight = xp.reshape(weight, (-1,) + (1,) * (logits.ndim - 1)).astype(dtype)
        weight = xp.broadcast_to(weight, logits.shape)

        def count(where: AnyArray) -> Any:
            return xp.sum(xp.where(where, weight, xp.zeros_like(weight)))

        return cls(
            true_positives=count(predicted & actual),
            false_positives=count(predicted & ~actual),
            true_negatives=count(~predicted & ~actual),
            false_negatives=count(~predicted & actual),
        )

    def __add__(self, other: "BinaryCounts") -> "BinaryCounts":
        return BinaryCounts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.true_negatives + other.true_negatives,
            self.false_negatives + other.false_negatives,
        )

    def compute(self) -> dict[str, float]:
        """Accuracy, precision, recall and F1 in 0..1, then the counts.

        A quotient 0 / 0 is 0, as with scikit-learn's `zero_division=0`: precision where nothing was
        predicted positive, recall where nothing is.
        """
        tp, fp = float(self.true_positives), float(self.false_positives)
        tn, fn = float(self.true_negatives), float(self.false_negatives)
        return {
            "accuracy": _quotient(tp + tn, tp + fp + tn + fn),
            "precision": _quotient(tp, tp + fp),
            "recall": _quotient(tp, tp + fn),
            "f1": _quotient(2 * tp, 2 * tp + fp + fn),
            "true_positives": tp,
            "false_positives": fp,
            "true_negatives": tn,
            "false_negatives": fn,
        }


def _quotient(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
