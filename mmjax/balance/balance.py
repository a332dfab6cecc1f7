"""The base class of balances."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mmjax.errors import UserError
from mmjax.types import MetricName, WeightedMean


@dataclasses.dataclass(frozen=True)
class Balance(abc.ABC):
    """Weighs the losses of modalities and of tasks, and may change the gradients of encoders.

    A task is an objective; tasks are numbered in the alphabetical order of their names.
    """

    unimodal: ClassVar[tuple[str, ...]]
    """Allowed values of the model's field `unimodal`."""

    gradients: ClassVar[Literal["sum", "shared", "all"]] = "sum"
    """Whether one gradient is enough, that of the weighted sum of the losses, or `task_weights`
    reads the products of the gradients of each task, over the `shared` parameters (not those of
    heads) or over `all`. The backward pass is then run once for each task."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that its fields name; the model must have them."""
        return ()

    def weight(self, modality: str | None) -> float:
        """Weight of a modality's own loss; None: of the joint loss.

        By default 1: the gradient of a probe reaches no encoder.
        """
        return 1.0

    def initial(self, tasks: int) -> Any:
        """What it carries from step to step, as arrays; by default nothing."""
        return None

    def task_weights(
        self, carried: Any, losses: Float[Array, "task"], products: Any, key: Array
    ) -> Float[Array, "task"]:
        """The factor of the gradient of each task in this step; by default 1.

        Args:
            carried: what `initial` or the last `update` returned
            losses: of the tasks; only their number matters where `gradients` is "sum"
            products: `[task, task]`, the inner products of their gradients; None for "sum"
            key: of this step, the same on every device
        """
        return jnp.ones_like(losses)

    def update(
        self,
        carried: Any,
        losses: Float[Array, "task"],
        seen: Bool[Array, "task"],
        products: Any,
    ) -> Any:
        """What the next step gets, given the losses of the global batch.

        `seen` is False for a task of which no example of the batch has a target.
        """
        return carried

    def modulate(self, gradients: Any, means: Mapping[MetricName, WeightedMean], key: Array) -> Any:
        """The gradients to use for the global batch, given its means; by default unchanged."""
        return gradients


def require_positive(balance: Balance, field: str, *, zero: bool = False) -> None:
    """UserError unless the field is above 0, or at least 0 where `zero` is allowed."""
    value = getattr(balance, field)
    if not (value >= 0 if zero else value > 0):
        least = "0 or more" if zero else "more than 0"
        raise UserError(f"--balance.{field.replace('_', '-')}: expected {least}, got {value}")
