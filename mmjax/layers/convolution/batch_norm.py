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
    x: Float[Array, "batch *position channel"],
    mask: Bool[Array, "batch"],
    pivot: Float[AnyArray, "channel"],
) -> Moments:
    """Moments of the unmasked examples of all devices.

    `pivot` is a guess of the mean, such as the running one; the nearer, the less one pass rounds.
    """
    # A step of ResNet-50 takes a v5e chip 59 M cycles with one pass, whose sums are computed with
    # the convolution before it, and 81 M with two (estimates of its compiler,
    # experiments/benchmarks/README.md). CPUs keep two passes, which are exact for any pivot.
    return jax.lax.platform_dependent(
        x, mask, pivot, cpu=moments_in_two_passes, default=moments_in_one_pass
    )


def moments_in_one_pass(
    x: Float[Array, "batch *position channel"],
    mask: Bool[Array, "batch"],
    pivot: Float[AnyArray, "channel"],
) -> Moments:
    """Sums of (x - pivot) and of its squares, added up over devices together.

    Other types than float32 have no pivot: their own rounding is larger than what it would avoid.
    """
    centred = x.astype(jnp.float32)
    if x.dtype == jnp.float32:
        centred = centred - _along(pivot, x)
    else:
        pivot = jnp.zeros_like(pivot)
    positions = tuple(range(1, x.ndim - 1))

    def over_batch(y: Array) -> Array:
        # Positions first: the mask is applied to few numbers.
        return jnp.sum(clear(jnp.sum(y, axis=positions), mask), axis=0)

    first, second, examples = total(
        (over_batch(centred), over_batch(jnp.square(centred)), jnp.sum(mask, dtype=jnp.float32))
    )
    count = examples * math.prod(x.shape[1:-1])
    divisor = jnp.maximum(count, jnp.ones_like(count))
    shift = first / divisor
    variance = jnp.maximum(second / divisor - jnp.square(shift), jnp.zeros_like(second))
    return Moments(jnp.where(count > 0, pivot + shift, shift), variance, count)


def moments_in_two_passes(
    x: Float[Array, "batch *position channel"],
    mask: Bool[Array, "batch"],
    pivot: Float[AnyArray, "channel"],
) -> Moments:
    """The mean first, then the mean of squared differences from it."""
    del pivot
    x = x.astype(jnp.float32)
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

    Masked examples must be finite: they do not count, but a NaN among them would reach gradients.
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
        used = Moments(mean.value, variance.value, jnp.zeros(()))
        if train:
            used = global_moments(x, mask, jnp.asarray(mean.value))
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                mean.value, variance.value = self._follow(mean.value, variance.value, used)
        factor = scale * jax.lax.rsqrt(used.variance + self.epsilon)
        if x.dtype == jnp.float32:
            return (x - _along(used.mean, x)) * _along(factor, x) + _along(bias, x)
        # In the type of x: a product in float32 that is cast keeps the TPU's compiler from taking
        # the gradient's sums with the convolutions around it (see the same page).
        shift = bias - used.mean * factor
        return x * _along(factor, x).astype(x.dtype) + _along(shift, x).astype(x.dtype)

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
