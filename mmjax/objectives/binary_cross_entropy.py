"""Sigmoid binary cross-entropy of logits."""

import dataclasses
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import Array
from jaxtyping import Float

from mmjax.errors import UserError
from mmjax.metrics.binary import binary_metrics
from mmjax.metrics.multi_label import multi_label_metrics
from mmjax.objectives.objective import Comparison, mean_of, require_shape
from mmjax.types import Outputs, WeightedMean


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
class BinaryCrossEntropy(Comparison):
    """Sigmoid cross-entropy of logits and labels, `[batch]` or `[batch, label]`.

    Labels other than 0 and 1 are invalid.
    """

    pos_weight: float = 1.0  # weight of the positive labels' loss
    label_smoothing: float = 0.0  # 0..1: targets become label * (1 - s) + s / 2 (arXiv:1512.00567)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pos_weight > 0:
            raise UserError(f"pos_weight: expected more than 0, got {self.pos_weight}")
        if not 0 <= self.label_smoothing <= 1:
            raise UserError(f"label_smoothing: expected 0 to 1, got {self.label_smoothing}")

    def valid(self, output: Array, target: Array) -> Array:
        """Labels that are 0 or 1."""
        require_shape(self, output, target)
        return (target == 0) | (target == 1)

    def means(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """`loss`, `accuracy` and `confidence`, the mean probability of the true label."""
        smooth = target * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        positive = target > 0.5
        return {
            "loss": mean_of(weight, binary_cross_entropy(output, smooth, self.pos_weight)),
            "accuracy": mean_of(weight, (output > 0) == positive),
            "confidence": mean_of(weight, jax.nn.sigmoid(jnp.where(positive, output, -output))),
        }

    def exact(
        self, output: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: Any
    ) -> dict[str, float]:
        """The metrics of `binary_metrics`, of several labels those of `multi_label_metrics`."""
        metrics = binary_metrics if output.ndim == 1 else multi_label_metrics
        return metrics(output, target, weight)

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """True or False and its probability; of several labels the names that are true."""
        probabilities = scipy.special.expit(np.asarray(outputs.values[self.output], np.float64))
        if probabilities.ndim == 1:
            return [{"value": bool(p > 0.5), "probability": float(p)} for p in probabilities]
        names = list(kind.names if kind is not None else map(str, range(probabilities.shape[1])))
        return [
            {
                "value": [name for name, p in zip(names, row, strict=True) if p > 0.5],
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for row in probabilities
        ]
