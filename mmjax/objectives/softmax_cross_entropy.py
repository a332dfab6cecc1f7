"""Softmax cross-entropy from logits: one class of several."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import Array
from jaxtyping import Float, Int

from mmjax.errors import UserError
from mmjax.metrics.classification import classification_metrics
from mmjax.objectives.objective import INVALID, Objective, counts, mean_of, target_of
from mmjax.types import Batch, Outputs, WeightedMean


def softmax_cross_entropy(
    logits: Float[Array, "batch class"], labels: Int[Array, "batch"], smoothing: float = 0.0
) -> Float[Array, "batch"]:
    """-sum_c t_c log softmax(logits)_c,  t = (1 - smoothing) onehot(label) + smoothing / classes.

    Label smoothing is that of Szegedy et al. 2016, arXiv:1512.00567.
    """
    log_p = jax.nn.log_softmax(logits, axis=-1)
    of_truth = jnp.take_along_axis(log_p, labels[:, None], axis=-1)[:, 0]
    return -(1.0 - smoothing) * of_truth - smoothing * jnp.mean(log_p, axis=-1)


@final
@dataclasses.dataclass(frozen=True)
class SoftmaxCrossEntropy(Objective):
    """Cross-entropy of logits `[batch, class]` and classes `[batch]`, numbered from 0.

    loss = sum_i w_i c_i loss_i / sum_i w_i c_i, with the example's weight w and its class's weight
    c. Classes outside the logits are not counted; their share is reported as `invalid`.
    """

    label_smoothing: float = 0.0  # 0..1: share of the target spread over all classes
    # The weight of each class's loss; "balanced": n / (classes * n_c), from the training split.
    class_weights: tuple[float, ...] | Literal["equal", "balanced"] = "equal"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.label_smoothing <= 1:
            raise UserError(f"label_smoothing: expected 0 to 1, got {self.label_smoothing}")
        if not isinstance(self.class_weights, str) and not all(w >= 0 for w in self.class_weights):
            raise UserError(f"class_weights: expected 0 or more, got {self.class_weights}")

    def fitted(self, kind: Any) -> "SoftmaxCrossEntropy":
        """The objective with the weights of the classes of the training split."""
        if self.class_weights != "balanced":
            return self
        if kind is None:
            raise UserError(f'class_weights "balanced": the data tells no counts of {self.target}')
        counts = np.array(kind.counts, float)
        weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
        return dataclasses.replace(self, class_weights=tuple(weights.tolist()))

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """`loss`, `accuracy` and `confidence`, the mean probability that is given to the truth.

        Raises:
            UserError: the output has no axis of classes, or other classes than `class_weights`.
        """
        logits, labels, weight = self._read(outputs, batch)
        classes = logits.shape[1]
        valid = (labels >= 0) & (labels < classes)
        invalid = mean_of(weight, ~valid)
        weight = jnp.where(valid, weight, jnp.zeros_like(weight))
        # What does not count may be anything, NaN too: its gradient must be exactly zero.
        logits = jnp.where(weight[:, None] > 0, logits, jnp.zeros_like(logits))
        labels = jnp.where(valid, labels, jnp.zeros_like(labels))
        scaled = weight * self._of_class(classes)[labels]
        loss = softmax_cross_entropy(logits, labels, self.label_smoothing)
        p = jax.nn.softmax(logits, axis=-1)
        return {
            "loss": mean_of(scaled, loss),
            "accuracy": mean_of(weight, jnp.argmax(logits, axis=1) == labels),
            "confidence": mean_of(weight, jnp.take_along_axis(p, labels[:, None], axis=1)[:, 0]),
            INVALID: invalid,
        }

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """Logits `[batch, class]`, classes and weights `[batch]`."""
        logits, labels, weight = self._read(outputs, batch)
        valid = (labels >= 0) & (labels < logits.shape[1])
        return {
            "logits": logits,
            "labels": jnp.where(valid, labels, jnp.zeros_like(labels)),
            "weight": jnp.where(valid, weight, jnp.zeros_like(weight)),
        }

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """Accuracy, balanced accuracy, F1, log loss, AUROC ...: `classification_metrics`."""
        del kind
        if not counts(records):
            return {}
        return classification_metrics(records["logits"], records["labels"], records["weight"])

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The most probable class by name, its probability, and those of all classes."""
        p = scipy.special.softmax(np.asarray(outputs.values[self.output], np.float64), axis=-1)
        names = list(kind.names if kind is not None else map(str, range(p.shape[1])))
        return [
            {
                "value": names[int(np.argmax(row))],
                "probability": float(np.max(row)),
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for row in p
        ]

    def _read(self, outputs: Outputs, batch: Batch) -> tuple[Array, Array, Array]:
        logits = outputs.values[self.output].astype(jnp.float32)
        labels, weight = target_of(self, batch)
        if logits.ndim != 2 or labels.ndim != 1:
            raise UserError(
                f"head {self.output!r} gives {logits.shape} and target {self.target!r} is "
                f"{labels.shape}: expected logits [batch, class] and classes [batch]"
            )
        return logits, labels.astype(jnp.int32), weight

    def _of_class(self, classes: int) -> Float[Array, "class"]:
        if isinstance(self.class_weights, str):
            return jnp.ones(classes)
        if len(self.class_weights) != classes:
            raise UserError(
                f"class_weights: expected {classes} numbers, one for each class of the head "
                f"{self.output!r}, got {len(self.class_weights)}"
            )
        return jnp.asarray(self.class_weights, jnp.float32)
