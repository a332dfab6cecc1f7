"""The base class of objectives."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Shaped

from mmjax.errors import UserError
from mmjax.layers.tokens.masking import clear
from mmjax.types import Batch, Outputs, WeightedMean

INVALID = "invalid"  # the quantity that counts targets which the objective cannot read


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(abc.ABC):
    """What a training minimises and an evaluation reports.

    An example counts with `batch.weight` where its target is present. Targets that are missing, and
    whatever stands in their values, affect no loss, no metric and no gradient.
    """

    output: str  # the head that it reads
    target: str | None  # the target that it compares with; None: it needs no target
    weight: float = 1.0  # factor of this objective's loss in the total
    ramp: int = 0  # number of first steps over which the weight rises linearly to this; 0: none

    mixes_examples: ClassVar[bool] = False
    """Whether the loss of an example depends on others of the batch, as contrastive losses do."""

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise UserError(f"weight: expected 0 or more, got {self.weight}")
        if self.ramp < 0:
            raise UserError(f"ramp: expected 0 steps or more, got {self.ramp}")

    def weight_at(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The weight in step `step`, counted from 0: `weight * min(1, (step + 1) / ramp)`."""
        if self.ramp == 0:
            return jnp.asarray(self.weight, jnp.float32)
        return self.weight * jnp.minimum(1.0, (step.astype(jnp.float32) + 1) / self.ramp)

    @abc.abstractmethod
    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """Totals and counts over these examples, `loss` among them. Runs on the device."""

    @abc.abstractmethod
    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """Arrays `[batch, ...]` that `metrics` needs of each example; small. Runs on the device."""

    @abc.abstractmethod
    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """Exact metrics of a whole split, from the records of all its examples. Runs on the host.

        `kind` is the target's (`mmjax.data.targets`), or None.
        """

    @abc.abstractmethod
    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """A JSON object for each example: its `value`, and what else is known of it."""

    def fitted(self, kind: Any) -> "Objective":
        """The objective with what it takes from the training split's target; by default itself."""
        del kind
        return self


def counts(records: Mapping[str, np.ndarray]) -> bool:
    """Whether any record counts. Of a split in which none does there are no exact metrics."""
    return bool(np.any(records["weight"] > 0))


def require_shape(output: str, values: Any, target: str | None, truth: Any) -> None:
    """UserError where an output and its target differ in shape."""
    if values.shape != truth.shape:
        raise UserError(
            f"head {output!r} gives {values.shape} and target {target!r} is {truth.shape}: they "
            "must have the same shape"
        )


def target_of(
    objective: Objective, batch: Batch
) -> tuple[Shaped[Array, "batch *label"], Float[Array, "batch *label"]]:
    """The values of the objective's target, zeros where it is missing, and the weight of each.

    The weight is the example's, and 0 where the target is missing.
    """
    target = batch.targets[objective.target or ""]
    mask = jnp.asarray(target.mask)
    axes = (1,) * (target.values.ndim - 1)
    weight = jnp.reshape(jnp.asarray(batch.weight), batch.weight.shape + axes)
    whole = jnp.reshape(mask, mask.shape + (1,) * (target.values.ndim - mask.ndim))
    weight = jnp.where(whole, jnp.broadcast_to(weight, target.values.shape), 0.0)
    return clear(target.values, mask), weight


def mean_of(weight: Float[Array, "*axis"], values: Shaped[Array, "*axis"]) -> WeightedMean:
    """The weighted mean; values of weight 0 may be anything, NaN too."""
    kept = jnp.where(weight > 0, values.astype(weight.dtype), jnp.zeros_like(weight))
    return WeightedMean(jnp.sum(weight * kept), jnp.sum(weight))
