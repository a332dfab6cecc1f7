"""Normalisations of products, whose scale grows with every factor."""

import jax
import jax.numpy as jnp
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
