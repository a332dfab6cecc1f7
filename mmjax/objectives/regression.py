"""The base class of objectives for numbers."""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mmjax.metrics.regression import regression_metrics
from mmjax.metrics.sentiment import sentiment_metrics
from mmjax.objectives.objective import INVALID, Objective, counts, mean_of, require_shape, target_of
from mmjax.types import Batch, Outputs, WeightedMean


@dataclasses.dataclass(frozen=True)
class Regression(Objective):
    """A loss of the difference between an output `[batch]` and a number, both standardised.

    Metrics and predictions are in the user's own unit. Numbers that are NaN or infinite are not
    counted; their share is reported as `invalid`.
    """

    sentiment: bool = False  # report Acc-2, F1 and Acc-7 of scores in -3..3 as well

    @abc.abstractmethod
    def loss(self, error: Float[Array, "batch"]) -> Float[Array, "batch"]:
        """The loss of each error, output minus target."""

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """`loss`, and `absolute_error` in standard deviations of the target.

        Raises:
            UserError: output and target differ in shape.
        """
        output, truth, weight = self._read(outputs, batch)
        valid = jnp.isfinite(truth)
        invalid = mean_of(weight, ~valid)
        weight = jnp.where(valid, weight, jnp.zeros_like(weight))
        error = jnp.where(weight > 0, output - truth, jnp.zeros_like(output))
        return {
            "loss": mean_of(weight, self.loss(error)),
            "absolute_error": mean_of(weight, jnp.abs(error)),
            INVALID: invalid,
        }

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """Outputs, targets and weights `[batch]`."""
        output, truth, weight = self._read(outputs, batch)
        valid = jnp.isfinite(truth)
        return {
            "output": output,
            "truth": jnp.where(valid, truth, jnp.zeros_like(truth)),
            "weight": jnp.where(valid, weight, jnp.zeros_like(weight)),
        }

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """Mean absolute error, root mean square error, R2 and correlations, in the user's unit."""
        if not counts(records):
            return {}
        output, truth = (_in_unit(records[name], kind) for name in ("output", "truth"))
        found = regression_metrics(output, truth, records["weight"])
        if self.sentiment:
            found |= sentiment_metrics(output, truth, records["weight"])
        return found

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The number, with its unit where that is known."""
        values = _in_unit(np.asarray(outputs.values[self.output]), kind)
        unit = {"unit": kind.unit} if kind is not None and kind.unit else {}
        return [{"value": float(value), **unit} for value in values]

    def _read(self, outputs: Outputs, batch: Batch) -> tuple[Array, Array, Array]:
        output = outputs.values[self.output].astype(jnp.float32)
        truth, weight = target_of(self, batch)
        require_shape(self.output, output, self.target, truth)
        return output, truth.astype(jnp.float32), weight


def _in_unit(values: np.ndarray, kind: Any) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if kind is None:
        return values
    # Standardised in float32, which has 7 digits: a score of exactly 0 must come back as 0.
    digits = min(6 - math.ceil(math.log10(kind.std)), 300)
    return np.round(kind.mean + kind.std * values, digits) + 0.0  # no -0
