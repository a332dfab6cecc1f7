"""The gradient of several tasks, weighed by a balance."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mmjax.balance import Balance
from mmjax.models.base import Model
from mmjax.types import MetricName, WeightedMean

_OF_HEADS = (Model.path_of_head(""), Model.probe_prefix)


class Tasks:
    """One step's tasks. `[loss]`: one of each task, and last what modules add, of weight 1."""

    def __init__(self, balance: Balance, names: Sequence[str], carried: Any, key: Array) -> None:
        self._balance, self._names, self._carried, self._key = balance, names, carried, key

    @property
    def derivative(self) -> Callable:
        """One gradient of all losses, or the gradient of each as `[loss, ...]`."""
        return jax.grad if self._balance.gradients == "sum" else jax.jacrev

    def total(self, losses: Float[Array, "loss"]) -> Array:
        """What `derivative` differentiates: the weighted sum, or the losses themselves."""
        if self._balance.gradients != "sum":
            return losses
        return jnp.sum(self._with_modules(self._weights(losses[:-1], None)) * losses)

    def combined(
        self,
        gradients: Any,
        losses: Float[Array, "loss"],
        means: dict[MetricName, WeightedMean],
    ) -> tuple[Any, Any]:
        """One gradient, from that of all devices, and what the balance carries on.

        A weight that is not always 1 is added to `means`, as the quantity `weight` of each task.
        """
        products = None
        if self._balance.gradients != "sum":
            products = products_of(gradients, self._balance.gradients == "shared")
        weights = self._weights(losses[:-1], products)
        if self._balance.gradients != "sum":
            factors = self._with_modules(weights)
            gradients = jax.tree.map(
                lambda g: jnp.tensordot(factors.astype(g.dtype), g, axes=1), gradients
            )
        if self._carried is not None or products is not None:
            for name, weight in zip(self._names, weights, strict=True):
                means[MetricName(name, "weight")] = WeightedMean(weight, jnp.ones(()))
        seen = jnp.stack([means[MetricName(name, "loss")].count > 0 for name in self._names])
        return gradients, self._balance.update(self._carried, losses[:-1], seen, products)

    def _weights(self, losses: Float[Array, "task"], products: Any) -> Float[Array, "task"]:
        return self._balance.task_weights(self._carried, losses, products, self._key)

    def _with_modules(self, weights: Float[Array, "task"]) -> Float[Array, "loss"]:
        return jnp.concatenate([weights, jnp.ones(1)])


def products_of(gradients: Mapping[str, Any], shared: bool) -> Float[Array, "task task"]:
    """The inner products of the tasks' gradients, without what modules add."""
    kept = {
        name: part
        for name, part in gradients.items()
        if not (shared and name.startswith(_OF_HEADS))
    }
    rows = [
        jnp.reshape(leaf[:-1].astype(jnp.float32), (leaf.shape[0] - 1, -1))
        for leaf in jax.tree.leaves(kept)
    ]
    return sum((row @ row.T for row in rows[1:]), rows[0] @ rows[0].T)
