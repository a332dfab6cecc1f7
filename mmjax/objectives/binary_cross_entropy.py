"""Sigmoid binary cross-entropy from logits."""

import dataclasses
from collections.abc import Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import Array
from jaxtyping import Float

from mmjax.errors import UserError
from mmjax.metrics.binary import binary_metrics
from mmjax.objectives.objective import INVALID, Objective, counts, mean_of, require_shape, target_of
from mmjax.types import Batch, Outputs, WeightedMean


def binary_cross_entropy(
    logits: Float[Array, "*axis"], targets: Float[Array, "*axis"], pos_weight: float | Array = 1.0
) -> Float[Array, "*axis"]:
    """-(pos_weight t log s(logit) + (1 - t) log s(-logit)); finite for any finite logit."""
    return -(
        pos_weight * targets * jax.nn.log_sigmoid(logits)
        + (1.0 - targets) * jax.nn.log_sigmoid(-logits)
    )


@final
@dataclasses.dataclass(frozen=True)
class BinaryCrossEntropy(Objective):
    """Sigmoid cross-entropy of logits and labels 0 or 1: one per example, or several.

    Labels that are neither 0 nor 1 are not counted; their share is reported as `invalid`.
    """

    pos_weight: float = 1.0  # weight of the positive labels' loss
    label_smoothing: float = 0.0  # 0..1: targets become label * (1 - s) + s / 2 (arXiv:1512.00567)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, right, range_ in (
            ("pos_weight", self.pos_weight > 0, "more than 0"),
            ("label_smoothing", 0 <= self.label_smoothing <= 1, "0 to 1"),
        ):
            if not right:
                raise UserError(f"{name}: expected {range_}, got {getattr(self, name)}")

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """`loss`, `accuracy` and `confidence`, the mean probability that is given to the truth.

        Raises:
            UserError: logits and labels differ in shape.
        """
        logits, labels, weight = self._read(outputs, batch)
        valid = (labels == 0) | (labels == 1)
        invalid = mean_of(weight, ~valid)
        weight = jnp.where(valid, weight, jnp.zeros_like(weight))
        # What does not count may be anything, NaN too: its gradient must be exactly zero.
        logits = jnp.where(weight > 0, logits, jnp.zeros_like(logits))
        labels = jnp.where(valid, labels, jnp.zeros_like(labels))
        targets = labels * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        positive = labels > 0.5
        return {
            "loss": mean_of(weight, binary_cross_entropy(logits, targets, self.pos_weight)),
            "accuracy": mean_of(weight, (logits > 0) == positive),
            "confidence": mean_of(weight, jax.nn.sigmoid(jnp.where(positive, logits, -logits))),
            INVALID: invalid,
        }

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """Logits, labels and weights, each `[batch]` or `[batch, label]`."""
        logits, labels, weight = self._read(outputs, batch)
        valid = (labels == 0) | (labels == 1)
        return {
            "logits": logits,
            "labels": jnp.where(valid, labels, jnp.zeros_like(labels)),
            "weight": jnp.where(valid, weight, jnp.zeros_like(weight)),
        }

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """Accuracy, precision, recall, F1, AUROC and the others of `binary_metrics`.

        Of several labels per example every label counts alike (micro averages).
        """
        del kind
        if not counts(records):
            return {}
        return binary_metrics(*(np.ravel(records[k]) for k in ("logits", "labels", "weight")))

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """Whether it is so, with its probability; of several labels those that are, and all."""
        probabilities = scipy.special.expit(np.asarray(outputs.values[self.output], np.float64))
        if probabilities.ndim == 1:
            return [{"value": bool(p > 0.5), "probability": float(p)} for p in probabilities]
        names = kind.names if kind is not None else map(str, range(probabilities.shape[1]))
        names = list(names)
        return [
            {
                "value": [name for name, p in zip(names, row, strict=True) if p > 0.5],
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for row in probabilities
        ]

    def _read(self, outputs: Outputs, batch: Batch) -> tuple[Array, Array, Array]:
        logits = outputs.values[self.output].astype(jnp.float32)
        labels, weight = target_of(self, batch)
        require_shape(self.output, logits, self.target, labels)
        return logits, labels.astype(jnp.float32), weight
