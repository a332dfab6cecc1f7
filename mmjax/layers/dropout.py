"""Dropout, Srivastava et al. 2014 (JMLR 15)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import is_zero


class Dropout(nn.Module):
    """In training, sets numbers to zero at random and divides the others by 1 - rate.

    Draws the same masks as linen's `Dropout`. The rate may also be an input of the compiled
    program, for several trainings that differ in it.
    """

    rate: float | Array  # share that is set to zero, 0 to below 1

    @nn.compact
    def __call__(self, x: Float[Array, "*axis"], train: bool) -> Float[Array, "*axis"]:
        if not train or is_zero(self.rate):
            return x
        keep = 1.0 - self.rate
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        return jnp.where(kept, x / jnp.asarray(keep, x.dtype), jnp.zeros_like(x))
