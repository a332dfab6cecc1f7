"""The base classes of objectives."""

import abc
import dataclasses
import math
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

    An example counts with `batch.weight` where its target is present. Targets that are missing must
    not affect any loss, metric or gradient, whatever their values are.
    """

    output: str  # the head that it reads
    target: str | None  # the target that it compares with; None: it needs no target
    weight: float = 1.0  # factor of this objective's loss in the total
    # The weight's factor at some steps, such as `0 0 1000 1` for a rise over the first 1,000;
    # linear between them, constant before the first and after the last. Empty: always 1.
    schedule: tuple[tuple[int, float], ...] = ()

    mixes_examples: ClassVar[bool] = False
    """Whether the loss of an example depends on others of the batch, as contrastive losses do."""

    reads_vectors: ClassVar[bool] = False
    """Whether it reads the vectors of a dual encoder, and not what a head gives."""

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise UserError(f"weight: expected 0 or more, got {self.weight}")
        steps = [step for step, _ in self.schedule]
        if steps != sorted({*steps}) or any(step < 0 for step in steps):
            raise UserError(f"schedule: expected steps from 0 in ascending order, got {steps}")
        if not all(0 <= factor < math.inf for _, factor in self.schedule):
            raise UserError(f"schedule: expected factors of 0 or more, got {self.schedule}")

    def weight_at(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The weight in step `step`, counted from 0."""
        if not self.schedule:
            return jnp.asarray(self.weight, jnp.float32)
        steps, factors = (jnp.asarray(x, jnp.float32) for x in zip(*self.schedule, strict=True))
        return self.weight * jnp.interp(step.astype(jnp.float32), steps, factors)

    @abc.abstractmethod
    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """Totals and counts over these examples, `loss` among them. Runs on the device."""

    @abc.abstractmethod
    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """Small arrays `[batch, ...]` that `metrics` needs. Runs on the device."""

    @abc.abstractmethod
    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """Exact metrics of a split, from the records of all its examples. Runs on the host.

        `kind` is the target's (`mmjax.data.targets`), or None.
        """

    @abc.abstractmethod
    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """A JSON object for each example: its `value`, and what else is known of it."""

    def fitted(self, kind: Any) -> "Objective":
        """The objective with what it takes from the training split's target; by default itself."""
        del kind
        return self


@dataclasses.dataclass(frozen=True)
class Comparison(Objective):
    """An objective that compares the output of a head with a target, example by example.

    Invalid targets do not count; their share is reported as `invalid`. Subclasses define `valid`,
    `means` and `exact`, which read arrays with zeros and weight 0 wherever nothing counts.
    """

    integer: ClassVar[bool] = False
    """Whether targets are whole numbers, such as classes; else they are float32."""

    @abc.abstractmethod
    def valid(self, output: Array, target: Array) -> Array:
        """Which targets the objective can read; a UserError where the shapes do not fit."""

    @abc.abstractmethod
    def means(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """The `loss` and other quantities."""

    @abc.abstractmethod
    def exact(
        self, output: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: Any
    ) -> dict[str, float]:
        """Metrics of a split in which some example counts."""

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """The quantities of `means`, and `invalid`. UserError where the shapes do not fit."""
        output, target, weight, invalid = self._compared(outputs, batch)
        return self.means(output, target, weight) | {INVALID: invalid}

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """`output`, `target` and `weight`."""
        output, target, weight, _ = self._compared(outputs, batch)
        return {"output": output, "target": target, "weight": weight}

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """The metrics of `exact`; none where no example counts."""
        if not np.any(records["weight"] > 0):
            return {}
        return self.exact(records["output"], records["target"], records["weight"], kind)

    def _compared(self, outputs: Outputs, batch: Batch) -> tuple[Array, Array, Array, WeightedMean]:
        output = outputs.values[self.output].astype(jnp.float32)
        target, weight = target_of(self, batch)
        target = target.astype(jnp.int32 if self.integer else jnp.float32)
        valid = self.valid(output, target)
        invalid = mean_of(weight, ~valid)
        weight = jnp.where(valid, weight, jnp.zeros_like(weight))
        counts = weight > 0
        target = jnp.where(counts, target, jnp.zeros_like(target))
        # Outputs that do not count may be NaN; their gradient must be exactly zero.
        counts = jnp.reshape(counts, counts.shape + (1,) * (output.ndim - counts.ndim))
        return jnp.where(counts, output, jnp.zeros_like(output)), target, weight, invalid


def require_shape(objective: Objective, output: Array, target: Array) -> None:
    """Raise a UserError where an output and its target differ in shape."""
    if output.shape != target.shape:
        raise UserError(
            f"head {objective.output!r} gives {output.shape} and target {objective.target!r} is "
            f"{target.shape}: they must have the same shape"
        )


def target_of(
    objective: Objective, batch: Batch
) -> tuple[Shaped[Array, "batch *label"], Float[Array, "batch *label"]]:
    """The values of the target, zeros where it is missing, and the weight of each.

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
    """The weighted mean; values of weight 0 may be anything, also NaN."""
    kept = jnp.where(weight > 0, values.astype(weight.dtype), jnp.zeros_like(weight))
    return WeightedMean(jnp.sum(weight * kept), jnp.sum(weight))
