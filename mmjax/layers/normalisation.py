"""Normalisations that are finite and exact for whatever comes: zeros, products, large means."""

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
    """x / ||x||, and zeros for zeros, with a finite gradient there too."""
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, jnp.full_like(square, EPSILON**2)))


def layer_norm(name: str) -> nn.LayerNorm:
    """The layer norm of our own transformers, Ba et al. 2016, arXiv:1607.06450.

    Linen's default takes the variance as E[x^2] - E[x]^2: beside a mean of 10,000 deviations that
    may be 0, and the norm a thousandfold.
    """
    return nn.LayerNorm(EPSILON, use_fast_variance=False, name=name)
