"""Windows along time from the first step on, so that longer padding does not shift them."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float, Shaped

from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.tokens.masking import clear


def windows(
    x: Shaped[Array, "batch step *axis"], size: int
) -> Shaped[Array, "batch window size *axis"]:
    """Consecutive windows of `size` steps; the last one is padded with zeros (False)."""
    count = -(-x.shape[1] // size)
    widths = [(0, 0), (0, count * size - x.shape[1])] + [(0, 0)] * (x.ndim - 2)
    return jnp.reshape(jnp.pad(x, widths), (x.shape[0], count, size, *x.shape[2:]))


def window_mask(mask: Bool[Array, "batch step"], size: int) -> Bool[Array, "batch window"]:
    """A window is unmasked if any of its steps is."""
    return jnp.any(windows(mask, size), axis=2)


class WindowConv(nn.Module):
    """A convolution along time whose t-th result is centred on the t-th window of `stride` steps.

    Masked steps are read as zeros. Returns the results and their mask.
    """

    features: int
    size: int  # steps of the kernel, at least `stride`
    stride: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch step channel"], mask: Bool[Array, "batch step"]
    ) -> tuple[Float[Array, "batch window features"], Bool[Array, "batch window"]]:
        count = -(-x.shape[1] // self.stride)
        before = (self.size - self.stride) // 2
        after = (count - 1) * self.stride + self.size - before - x.shape[1]
        conv = Conv(self.features, (self.size,), self.stride, [(before, after)])
        return conv(clear(x, mask)), window_mask(mask, self.stride)
