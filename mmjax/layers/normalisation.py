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


def layer_norm(name: str, epsilon: float = EPSILON) -> "LayerNorm":
    """`LayerNorm` as a submodule `name`."""
    return LayerNorm(epsilon, name=name)


class LayerNorm(nn.Module):
    """y = scale (x - mean) / sqrt(variance + epsilon) + bias over the last axis, in float32.

    Layer normalisation, Ba et al. 2016, arXiv:1607.06450. Mean and variance are computed in one
    pass, E[d^2] - E[d]^2. For float32 d = x - x_0, which has the same variance and norm: with
    d = x, as in linen, the variance may round to 0 where the mean is 10,000 times the deviation,
    and the result be a thousand times too large. Numbers in bfloat16 cannot differ so little.
    """

    epsilon: float = EPSILON  # added to the variance

    @nn.compact
    def __call__(self, x: Float[Array, "*axis dim"]) -> Float[Array, "*axis dim"]:
        shape = (1,) * (x.ndim - 1) + x.shape[-1:]
        scale = jnp.reshape(self.param("scale", nn.initializers.ones, shape[-1:]), shape)
        bias = jnp.reshape(self.param("bias", nn.initializers.zeros, shape[-1:]), shape)
        d = x.astype(jnp.float32)
        if x.dtype == jnp.float32:
            d = d - jax.lax.stop_gradient(d[..., :1])  # a shift has no gradient
        mean = jnp.mean(d, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(d), axis=-1, keepdims=True) - jnp.square(mean)
        factor = jax.lax.rsqrt(jnp.maximum(variance, jnp.zeros_like(variance)) + self.epsilon)
        y = (d - mean) * (factor * scale.astype(jnp.float32)) + bias.astype(jnp.float32)
        return y.astype(x.dtype)
