"""Weighting tasks by their uncertainty, Kendall, Gal and Cipolla 2018, arXiv:1705.07115."""

import dataclasses
from typing import Any, final

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mmjax.balance.balance import Balance, require_positive


@final
@dataclasses.dataclass(frozen=True)
class Uncertainty(Balance):
    """loss = sum_t exp(-s_t) L_t + s_t, with a learned log variance s_t of each task.

    Its gradient, 1 - exp(-s_t) L_t, is known without a backward pass: s_t descends by it, clipped
    to -1..1. At the optimum s_t = log L_t: every weighted loss is 1. The form is the paper's for
    regression, times 2; it is used for all tasks, as in Liebel and Koerner 2018, arXiv:1805.06334.
    """

    rate: float = 0.01  # learning rate of s, above 0

    unimodal = ("none", "probe")

    def __post_init__(self) -> None:
        require_positive(self, "rate")

    def initial(self, tasks: int) -> Float[Array, "task"]:
        """s = 0: all weights are 1."""
        return jnp.zeros(tasks)

    def task_weights(
        self, carried: Any, losses: Float[Array, "task"], products: Any, key: Array
    ) -> Float[Array, "task"]:
        """exp(-s)."""
        return jnp.exp(-carried)

    def update(
        self, carried: Any, losses: Float[Array, "task"], seen: Bool[Array, "task"], products: Any
    ) -> Float[Array, "task"]:
        """s after one step of gradient descent, for the tasks that were seen."""
        step = jnp.clip(1.0 - jnp.exp(-carried) * losses, -1.0, 1.0)
        return jnp.where(seen, carried - self.rate * step, carried)
