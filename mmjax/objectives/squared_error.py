"""Squared error."""

import dataclasses
from typing import final

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mmjax.objectives.regression import Regression


@final
@dataclasses.dataclass(frozen=True)
class SquaredError(Regression):
    """loss = (output - target)^2; the mean of the target is its optimum."""

    def loss(self, error: Float[Array, "batch"]) -> Float[Array, "batch"]:
        return jnp.square(error)
