"""The base class of objectives for numbers."""

import abc
import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mmjax.metrics.regression import regression_metrics
from mmjax.metrics.sentiment import sentiment_metrics
from mmjax.objectives.objective import Comparison, mean_of, require_shape
from mmjax.types import Outputs, WeightedMean


@dataclasses.dataclass(frozen=True)
class Regression(Comparison):
    """A loss of the difference between an output `[batch]` and a number, both standardised.

    Metrics and predictions are in the user's own unit. NaN and infinite targets are invalid.
    """

    sentiment: bool = False  # also report Acc-2, F1 and Acc-7 of scores in -3..3

    @abc.abstractmethod
    def loss(self, error: Float[Array, "batch"]) -> Float[Array, "batch"]:
        """The loss of each error, output minus target."""

    def valid(self, output: Array, target: Array) -> Array:
        """Finite targets."""
        require_shape(self, output, target)
        return jnp.isfinite(target)

    def means(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """`loss`, and `absolute_error` in standard deviations of the target."""
        error = output - target
        return {
            "loss": mean_of(weight, self.loss(error)),
            "absolute_error": mean_of(weight, jnp.abs(error)),
        }

    def exact(
        self, output: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: Any
    ) -> dict[str, float]:
        """The metrics of `regression_metrics`, and of `sentiment_metrics` where these are on."""
        output, target = _in_unit(output, kind), _in_unit(target, kind)
        metrics = regression_metrics(output, target, weight)
        return metrics | (sentiment_metrics(output, target, weight) if self.sentiment else {})

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The number, with its unit where that is known."""
        values = _in_unit(np.asarray(outputs.values[self.output]), kind)
        unit = {"unit": kind.unit} if kind is not None and kind.unit else {}
        return [{"value": float(value), **unit} for value in values]


def _in_unit(values: np.ndarray, kind: Any) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if kind is None:
        return values
    # Standardised in float32, which has 7 digits: a score of exactly 0 must come back as 0.
    digits = min(6 - math.ceil(math.log10(kind.std)), 300)
    return np.round(kind.mean + kind.std * values, digits) + 0.0  # no -0
