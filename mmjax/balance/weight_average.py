"""Dynamic weight average, Liu, Johns and Davison 2019, arXiv:1803.10704."""

import dataclasses
from typing import Any, final

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mmjax.balance.balance import Balance, require_positive


@final
@dataclasses.dataclass(frozen=True)
class WeightAverage(Balance):
    """w = tasks * softmax(r / temperature), r_t = mean loss of a window / mean of that before.

    A task whose loss falls slowly gets a larger weight. The paper's windows are epochs. All weights
    are 1 until two windows have passed.
    """

    window: int = 100  # steps whose losses are averaged
    temperature: float = 2.0  # above 0; higher: more equal weights

    unimodal = ("none", "probe")

    def __post_init__(self) -> None:
        require_positive(self, "window")
        require_positive(self, "temperature")

    def initial(self, tasks: int) -> dict[str, Array]:
        """The means of the last two windows, and the sums of this one."""
        zeros = jnp.zeros(tasks)
        return {
            "before": zeros,
            "last": zeros.copy(),
            "sum": zeros.copy(),
            "count": zeros.copy(),
            "step": jnp.zeros((), jnp.int32),
        }

    def task_weights(
        self, carried: Any, losses: Float[Array, "task"], products: Any, key: Array
    ) -> Float[Array, "task"]:
        """By how fast the losses fall."""
        before, last = carried["before"], carried["last"]
        known = (before > 0) & (last > 0)
        ratio = jnp.where(known, last / jnp.where(known, before, 1.0), jnp.ones_like(last))
        return ratio.shape[0] * jax.nn.softmax(ratio / self.temperature)

    def update(
        self, carried: Any, losses: Float[Array, "task"], seen: Bool[Array, "task"], products: Any
    ) -> dict[str, Array]:
        """The sums with this step's losses; at the end of a window it becomes the last one."""
        total = carried["sum"] + jnp.where(seen, losses, 0.0)
        count = carried["count"] + seen.astype(jnp.float32)
        step = carried["step"] + 1
        ends = step % self.window == 0
        some = count > 0
        mean = jnp.where(some, total / jnp.where(some, count, 1.0), carried["last"])
        return {
            "before": jnp.where(ends, carried["last"], carried["before"]),
            "last": jnp.where(ends, mean, carried["last"]),
            "sum": jnp.where(ends, 0.0, total),
            "count": jnp.where(ends, 0.0, count),
            "step": step,
        }
