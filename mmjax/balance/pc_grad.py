"""PCGrad, projecting conflicting gradients, Yu et al. 2020, arXiv:2001.06782."""

import dataclasses
from typing import Any, ClassVar, Literal, final

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mmjax.balance.balance import Balance


@final
@dataclasses.dataclass(frozen=True)
class PcGrad(Balance):
    """The gradient of each task loses what conflicts with another's; then they are added.

    g_i <- g_i - (g_i . g_j / |g_j|^2) g_j  where g_i . g_j < 0, over the tasks j in random order.
    All of it happens in the span of the gradients: with g_i = sum_k c_ik g_k, the products of the
    gradients are enough to find c, and column sums of c are the weights of the gradients.
    """

    unimodal = ("none", "probe")
    gradients: ClassVar[Literal["sum", "shared", "all"]] = "all"

    def task_weights(
        self, carried: Any, losses: Float[Array, "task"], products: Any, key: Array
    ) -> Float[Array, "task"]:
        """The column sums of c."""
        tasks = products.shape[0]
        norms = jnp.diagonal(products)
        some = norms > 0  # a task without a gradient conflicts with none

        def project(place: Array, c: Float[Array, "task task"]) -> Float[Array, "task task"]:
            j = order[:, place]  # of each task i another one
            dot = jnp.take_along_axis(c @ products, j[:, None], axis=1)[:, 0]
            conflict = (dot < 0) & (j != jnp.arange(tasks)) & some[j]
            share = jnp.where(conflict, dot / jnp.where(some[j], norms[j], 1.0), 0.0)
            return c - share[:, None] * jax.nn.one_hot(j, tasks)

        order = jax.vmap(lambda k: jax.random.permutation(k, tasks))(jax.random.split(key, tasks))
        c = jax.lax.fori_loop(0, tasks, project, jnp.eye(tasks))
        return jnp.sum(c, axis=0)
