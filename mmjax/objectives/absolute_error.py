"""Absolute error."""

import dataclasses
from typing import final

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mmjax.objectives.regression import Regression


@final
@dataclasses.dataclass(frozen=True)
class AbsoluteError(Regression):
    """loss = |output - target|; the median of the target is its optimum."""

    def loss(self, error: Float[Array, "batch"]) -> Float[Array, "batch"]:
        return jnp.abs(error)
