"""GradNorm, Chen et al. 2018, arXiv:1711.02257."""

import dataclasses
from typing import Any, ClassVar, Literal, final

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mmjax.balance.balance import Balance, require_positive


@final
@dataclasses.dataclass(frozen=True)
class GradNorm(Balance):
    """Weights w_t, of sum `tasks`, that let all tasks train at similar rates.

    Each descends on |G_t - mean(G) r_t^alpha|, where G_t = w_t |grad L_t| over the shared
    parameters and r_t = (L_t / L_t(0)) / their mean: how much slower than the others the task
    learns. The paper takes the parameters of the last shared layer; here it is all but the heads'.
    Steps are in units of the mean |grad L|, so that `rate` fits losses of any scale.
    """

    alpha: float = 1.5  # strength of the pull to a common rate, 0 or more; 0.12 and 1.5 there
    rate: float = 0.025  # learning rate of the weights, above 0

    unimodal = ("none", "probe")
    gradients: ClassVar[Literal["sum", "shared", "all"]] = "shared"

    def __post_init__(self) -> None:
        require_positive(self, "rate")
        require_positive(self, "alpha", zero=True)

    def initial(self, tasks: int) -> dict[str, Array]:
        """Weights of 1, and first losses of 0: unknown."""
        return {"weights": jnp.ones(tasks), "first": jnp.zeros(tasks)}

    def task_weights(
        self, carried: Any, losses: Float[Array, "task"], products: Any, key: Array
    ) -> Float[Array, "task"]:
        """w."""
        return carried["weights"]

    def update(
        self, carried: Any, losses: Float[Array, "task"], seen: Bool[Array, "task"], products: Any
    ) -> dict[str, Array]:
        """w after one step of gradient descent; it is unchanged where a task was not seen."""
        weights, first = carried["weights"], carried["first"]
        first = jnp.where((first == 0) & seen, losses, first)
        tiny = jnp.finfo(jnp.float32).tiny
        norms = jnp.sqrt(jnp.diagonal(products))
        scaled = weights * norms
        left = losses / jnp.maximum(first, tiny)
        rates = left / jnp.maximum(jnp.mean(left), tiny)
        wanted = jnp.mean(scaled) * rates**self.alpha
        slope = jnp.sign(scaled - wanted) * norms / jnp.maximum(jnp.mean(norms), tiny)
        # A weight of 0 would never come back: its gradient has no sign.
        moved = jnp.maximum(weights - self.rate * slope, 0.01)
        moved = moved * (moved.shape[0] / jnp.sum(moved))
        return {"weights": jnp.where(jnp.all(seen), moved, weights), "first": first}
