"""Normalisations that stay finite and exact for zeros, products and large means."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

EPSILON = 1e-6


def signed_sqrt(x: Float[Array, "*axis"]) -> Float[Array, "*axis"]:
    """sign(x) sqrt(|x|), smoothed so that its slope at 0 is finite: x / sqrt(|x| + 1e-6)."""
    return x * jax.lax.rsqrt(jnp.abs(x) + EPSILON)


def l2_normalised(x: Float[Array, "*axis dim"]) -> Float[Array, "*axis dim"]:
    """x / ||x||, and zeros for zeros; its gradient is finite everywhere."""
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, jnp.full_like(square, EPSILON**2)))


def layer_norm(name: str, epsilon: float = EPSILON) -> nn.LayerNorm:
    """Layer normalisation, Ba et al. 2016, arXiv:1607.06450, as a submodule `name`.

    Linen's default variance, E[x^2] - E[x]^2, may round to 0 where the mean is 10,000 times the
    deviation. The result would then be a thousand times too large.
    """
    return nn.LayerNorm(epsilon, use_fast_variance=False, name=name)
