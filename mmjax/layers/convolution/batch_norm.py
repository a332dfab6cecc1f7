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
    """Statistics of each channel over the examples of all devices; zeros without an example."""

    mean: Float[AnyArray, "channel"]
    variance: Float[AnyArray, "channel"]  # biased: the sum of squares divided by `count`
    count: Float[Array, ""]  # values in a channel


def global_moments(
    x: Float[Array, "batch *position channel"], mask: Bool[Array, "batch"]
) -> Moments:
    """Moments of the unmasked examples of all devices, in two passes to avoid cancellation."""
    positions = tuple(range(1, x.ndim - 1))
    examples = total(jnp.sum(mask, dtype=x.dtype))
    divisor = jnp.maximum(examples, jnp.ones_like(examples))

    def mean_over_batch(y):
        # All examples have the same size: a mean of means rounds less than one large sum.
        return total(jnp.sum(clear(jnp.mean(y, axis=positions), mask), axis=0)) / divisor

    mean = mean_over_batch(x)
    variance = mean_over_batch(jnp.square(x - _along(mean, x)))
    return Moments(mean, variance, examples * math.prod(x.shape[1:-1]))


class BatchNorm(nn.Module):
    """y = scale (x - mean) / sqrt(variance + epsilon) + bias, channel by channel.

    In training, mean and variance are taken over the unmasked examples of the global batch, and the
    running statistics are updated: r' = (1 - momentum) r + momentum * new, with the unbiased
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
        """The mean is updated from one value on, the variance from two values on."""
        unbiased = new.variance * new.count / jnp.maximum(new.count - 1, 1)
        any_value, several = new.count > 0, new.count > 1
        return (
            jnp.where(any_value, (1 - self.momentum) * mean + self.momentum * new.mean, mean),
            jnp.where(several, (1 - self.momentum) * variance + self.momentum * unbiased, variance),
        )


def _along(
    channel: Float[AnyArray, "channel"], x: Float[Array, "*axis channel"]
) -> Float[AnyArray, "*one channel"]:
    """The channels with axes of size 1 before them, as many axes as x."""
    return jnp.reshape(channel, (1,) * (x.ndim - 1) + channel.shape)
