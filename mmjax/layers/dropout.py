"""Dropout, Srivastava et al. 2014 (JMLR 15)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import is_zero


class Dropout(nn.Module):
    """Zeroes numbers at random in training, and scales the others up so that their mean stays.

    linen's module of that name and its masks, but for a rate that may be an input of the compiled
    program, as where several trainings differ in it.
    """

    rate: float | Array  # share that is zeroed, 0 to below 1

    @nn.compact
    def __call__(self, x: Float[Array, "*axis"], train: bool) -> Float[Array, "*axis"]:
        if not train or is_zero(self.rate):
            return x
        keep = 1.0 - self.rate
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        return jnp.where(kept, x / jnp.asarray(keep, x.dtype), jnp.zeros_like(x))
