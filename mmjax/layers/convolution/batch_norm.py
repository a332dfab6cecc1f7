"""Batch normalisation, Ioffe & Szegedy 2015, arXiv:1502.03167, over the global batch."""

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing.collectives import total
from mmjax.types import AnyArray


class Moments(NamedTuple):
    """Of every channel, over the examples of all devices; zeros where there is none."""

    mean: Float[AnyArray, "channel"]
    variance: Float[AnyArray, "channel"]  # biased: the sum of squares over `count`
    count: Float[Array, ""]  # values that a channel has


def global_moments(
    x: Float[Array, "batch *position channel"], mask: Bool[Array, "batch"]
) -> Moments:
    """Sums and counts over all devices, divided once; two passes, so that nothing cancels."""
    positions = tuple(range(1, x.ndim - 1))
    examples = total(jnp.sum(mask, dtype=x.dtype))
    divisor = jnp.maximum(examples, jnp.ones_like(examples))

    def mean_over_batch(y):
        # Examples are as large as each other: a mean of means, exact where one sum would not be.
        return total(jnp.sum(clear(jnp.mean(y, axis=positions), mask), axis=0)) / divisor

    mean = mean_over_batch(x)
    variance = mean_over_batch(jnp.square(x - _along(mean, x)))
    return Moments(mean, variance, examples * math.prod(x.shape[1:-1]))


class BatchNorm(nn.Module):
    """y = scale (x - mean) / sqrt(variance + epsilon) + bias, channel by channel.

    In training mean and variance are those of the global batch, without the examples that are
    missing, and running ones follow: r' = (1 - momentum) r + momentum * new, with the unbiased
    variance, as in PyTorch (Flax's momentum is 1 minus this one). Statistics are float32.
    """

    mixes_examples: ClassVar[bool] = True

    momentum: float = 0.1  # share of the new batch in the running statistics
    epsilon: float = 1e-5  # added to the variance

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch *position channel"],
        mask: Bool[Array, "batch"],
        train: bool,
    ) -> Float[Array, "batch *position channel"]:
        shape = (x.shape[-1],)
        scale = jnp.asarray(self.param("scale", nn.initializers.ones, shape), jnp.float32)
        bias = jnp.asarray(self.param("bias", nn.initializers.zeros, shape), jnp.float32)
        mean = self.variable("batch_stats", "mean", nn.initializers.zeros, None, shape)
        variance = self.variable("batch_stats", "variance", nn.initializers.ones, None, shape)
        y = x.astype(jnp.float32)
        used = Moments(mean.value, variance.value, jnp.zeros(()))
        if train:
            used = global_moments(y, mask)
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                mean.value, variance.value = self._follow(mean.value, variance.value, used)
        factor = scale * jax.lax.rsqrt(used.variance + self.epsilon)
        y = (y - _along(used.mean, y)) * _along(factor, y) + _along(bias, y)
        return y.astype(x.dtype)

    def _follow(self, mean: AnyArray, variance: AnyArray, new: Moments) -> tuple[Array, Array]:
        """No value says nothing about the mean, and a single one nothing about the variance."""
        unbiased = new.variance * new.count / jnp.maximum(new.count - 1, 1)
        there, several = new.count > 0, new.count > 1
        return (
            jnp.where(there, (1 - self.momentum) * mean + self.momentum * new.mean, mean),
            jnp.where(several, (1 - self.momentum) * variance + self.momentum * unbiased, variance),
        )


def _along(
    channel: Float[AnyArray, "channel"], x: Float[Array, "*axis channel"]
) -> Float[AnyArray, "*one channel"]:
    """With as many axes as x."""
    return jnp.reshape(channel, (1,) * (x.ndim - 1) + channel.shape)
