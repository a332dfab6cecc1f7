"""Softmax cross-entropy of logits: one class of several."""

import dataclasses
from typing import Any, ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import Array
from jaxtyping import Float, Int

from mmjax.errors import UserError
from mmjax.metrics.classification import classification_metrics
from mmjax.objectives.objective import Comparison, mean_of
from mmjax.types import Outputs, WeightedMean


def softmax_cross_entropy(
    logits: Float[Array, "batch class"], labels: Int[Array, "batch"], smoothing: float = 0.0
) -> Float[Array, "batch"]:
    """-sum_c t_c log softmax(logits)_c,  t = (1 - smoothing) onehot(label) + smoothing / classes.

    Label smoothing: Szegedy et al. 2016, arXiv:1512.00567.
    """
    log_p = jax.nn.log_softmax(logits, axis=-1)
    of_truth = jnp.take_along_axis(log_p, labels[:, None], axis=-1)[:, 0]
    return -(1.0 - smoothing) * of_truth - smoothing * jnp.mean(log_p, axis=-1)


@final
@dataclasses.dataclass(frozen=True)
class SoftmaxCrossEntropy(Comparison):
    """Cross-entropy of logits `[batch, class]` and classes `[batch]`, numbered from 0.

    loss = sum_i w_i c_i loss_i / sum_i w_i c_i, with the example's weight w and its class's weight
    c. Classes outside the logits are invalid.
    """

    label_smoothing: float = 0.0  # 0..1: share of the target spread over all classes
    # The weight of each class's loss; "balanced": n / (classes * n_c), from the training split.
    class_weights: tuple[float, ...] | Literal["equal", "balanced"] = "equal"

    integer: ClassVar[bool] = True

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

    def valid(self, output: Array, target: Array) -> Array:
        """Classes that the logits have."""
        if output.ndim != 2 or target.ndim != 1:
            raise UserError(
                f"head {self.output!r} gives {output.shape} and target {self.target!r} is "
                f"{target.shape}: expected logits [batch, class] and classes [batch]"
            )
        return (target >= 0) & (target < output.shape[1])

    def means(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """`loss`, `accuracy` and `confidence`, the mean probability of the true class.

        Raises:
            UserError: `class_weights` are not as many as the classes.
        """
        loss = softmax_cross_entropy(output, target, self.label_smoothing)
        p = jax.nn.softmax(output, axis=-1)
        return {
            "loss": mean_of(weight * self._weights(output.shape[1])[target], loss),
            "accuracy": mean_of(weight, jnp.argmax(output, axis=1) == target),
            "confidence": mean_of(weight, jnp.take_along_axis(p, target[:, None], axis=1)[:, 0]),
        }

    def exact(
        self, output: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: Any
    ) -> dict[str, float]:
        """The metrics of `classification_metrics`."""
        return classification_metrics(output, target, weight)

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

    def _weights(self, classes: int) -> Float[Array, "class"]:
        if isinstance(self.class_weights, str):
            return jnp.ones(classes)
        if len(self.class_weights) != classes:
            raise UserError(
                f"class_weights: expected {classes} numbers, one for each class of the head "
                f"{self.output!r}, got {len(self.class_weights)}"
            )
        return jnp.asarray(self.class_weights, jnp.float32)
