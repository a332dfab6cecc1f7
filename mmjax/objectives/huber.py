"""Huber's loss, Huber 1964, doi:10.1214/aoms/1177703732."""

import dataclasses
from typing import final

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mmjax.errors import UserError
from mmjax.objectives.regression import Regression


@final
@dataclasses.dataclass(frozen=True)
class Huber(Regression):
    """loss = e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2),  e = output - target."""

    delta: float = 1.0  # above 0, in standard deviations of the target

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.delta > 0:
            raise UserError(f"delta: expected more than 0, got {self.delta}")

    def loss(self, error: Float[Array, "batch"]) -> Float[Array, "batch"]:
        """Quadratic for small errors, linear for large ones."""
        size = jnp.abs(error)
        small = jnp.minimum(size, jnp.full_like(size, self.delta))
        return small * (size - 0.5 * small)
