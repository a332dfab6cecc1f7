"""Sigmoid binary cross-entropy from logits."""

import dataclasses
from collections.abc import Mapping
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import Array
from jaxtyping import Float

from mmjax.metrics.binary import binary_metrics
from mmjax.objectives.objective import Objective
from mmjax.types import Batch, WeightedMean


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
    """Sigmoid cross-entropy of logits against labels in {0, 1}, one or several per example."""

    pos_weight: float = 1.0  # weight of the positive labels' loss
    label_smoothing: float = 0.0  # 0..1: targets become label * (1 - s) + s / 2 (arXiv:1512.00567)

    def __post_init__(self) -> None:
        for name, right, range_ in (
            ("pos_weight", self.pos_weight > 0, "more than 0"),
            ("label_smoothing", 0 <= self.label_smoothing <= 1, "0 to 1"),
            ("weight", self.weight >= 0, "0 or more"),
        ):
            if not right:
                raise ValueError(f"{name}: expected {range_}, got {getattr(self, name)}")

    def __call__(
        self, name: str, outputs: Mapping[str, Array], batch: Batch
    ) -> dict[str, WeightedMean]:
        """The sums of the output and the label called `name`; several labels are averaged.

        Raises:
            ValueError: logits and labels differ in shape.
        """
        logits = outputs[name].astype(jnp.float32)
        labels = jnp.asarray(batch.labels[name]).astype(jnp.float32)
        if logits.shape != labels.shape:
            raise ValueError(
                f"objective {name!r}: logits {logits.shape} and labels {labels.shape} must have "
                "the same shape; the head's `labels` says how many logits there are"
            )
        weight = jnp.reshape(batch.weight, batch.weight.shape + (1,) * (logits.ndim - 1))
        weight = jnp.broadcast_to(weight, logits.shape)
        # A filler's logit may be anything, NaN too: neither its loss nor its gradient may show it.
        logits = jnp.where(weight > 0, logits, jnp.zeros_like(logits))
        targets = labels * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        loss = binary_cross_entropy(logits, targets, self.pos_weight)
        correct = ((logits > 0) == (labels > 0.5)).astype(jnp.float32)
        # The mean probability that is given to the truth.
        confidence = jax.nn.sigmoid(jnp.where(labels > 0.5, logits, -logits))
        count = jnp.sum(weight)
        return {
            "loss": WeightedMean(jnp.sum(weight * loss), count),
            "accuracy": WeightedMean(jnp.sum(weight * correct), count),
            "confidence": WeightedMean(jnp.sum(weight * confidence), count),
        }

    def metrics(
        self,
        name: str,
        outputs: Mapping[str, np.ndarray],
        labels: Mapping[str, np.ndarray],
        weight: np.ndarray,
    ) -> dict[str, float]:
        """Accuracy, precision, recall, F1, AUROC and the others of `binary_metrics`."""
        return binary_metrics(outputs[name], labels[name], weight)

    def answers(self, name: str, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The probability of the label, or of each of several as `name/0`, `name/1` ..."""
        probabilities = scipy.special.expit(np.asarray(outputs[name], np.float64))
        if probabilities.ndim == 1:
            return {name: probabilities}
        return {f"{name}/{i}": column for i, column in enumerate(probabilities.T)}
