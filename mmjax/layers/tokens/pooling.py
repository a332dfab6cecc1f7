"""Pooling: one vector from the unmasked tokens, and smaller images from larger ones."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.attention.attention import MultiHeadAttention
from mmjax.layers.tokens.masking import clear


def masked_mean(
    values: Float[Array, "batch token dim"], mask: Bool[Array, "batch token"]
) -> Float[Array, "batch dim"]:
    """The mean of the unmasked tokens; zeros for an example without any."""
    total = jnp.sum(clear(values, mask), axis=1)
    count = jnp.sum(mask, axis=1, keepdims=True).astype(values.dtype)
    return total / jnp.maximum(count, jnp.ones_like(count))


def masked_max(
    values: Float[Array, "batch token dim"], mask: Bool[Array, "batch token"]
) -> Float[Array, "batch dim"]:
    """The maximum of the unmasked tokens; zeros for an example without any."""
    lowest = float(jnp.finfo(values.dtype).min)
    visible = jnp.where(mask[:, :, None], values, jnp.full_like(values, lowest))
    return clear(jnp.max(visible, axis=1, initial=lowest), jnp.any(mask, axis=1))


def average_pool(
    image: Float[Array, "batch height width channel"], size: int
) -> Float[Array, "batch small_height small_width channel"]:
    """Means of size x size blocks; rows and columns that do not fill a block are left out."""

    def by_windows(image):
        window = size, size
        return nn.pool(image, 0.0, jax.lax.add, window, window, "VALID") / size**2

    def by_slices(image):
        batch, height, width, channel = image.shape
        rows, columns = height // size, width // size
        blocks = image[:, : rows * size, : columns * size]
        blocks = jnp.reshape(blocks, (batch, rows, size, columns, size, channel))
        # A sum of slices, not jnp.mean: XLA's CPU compiler joins it with what is before it.
        pixels = [blocks[:, :, i, :, j] for i in range(size) for j in range(size)]
        return sum(pixels[1:], pixels[0]) / size**2

    return jax.lax.platform_dependent(image, cpu=by_slices, default=by_windows)


def max_pool(
    image: Float[Array, "batch height width channel"], size: int, stride: int, padding: int = 0
) -> Float[Array, "batch small_height small_width channel"]:
    """Maxima of size x size windows, NaN where one holds NaN; borders are padded with -inf.

    The first of equal numbers receives the gradient.
    """

    def by_windows(image):
        window, around = (size, size), [(padding, padding)] * 2
        pool: Any = nn.max_pool  # its annotation has no pairs for the padding
        return pool(image, window, (stride, stride), around)

    def by_slices(image):
        around = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
        image = jnp.pad(image, around, constant_values=-jnp.inf)
        height, width = (length - size + 1 for length in image.shape[1:3])
        maximum = image[:, :height:stride, :width:stride]
        for i, j in list(itertools.product(range(size), repeat=2))[1:]:
            other = image[:, i : i + height : stride, j : j + width : stride]
            maximum = jnp.where((other > maximum) | jnp.isnan(other), other, maximum)
        return maximum

    # The gradient of windows is a scatter, which is slow on CPUs. A TPU has an operation for it: a
    # step of ResNet-50 takes a v5e chip 59 M cycles with windows and 72 M with slices (estimates of
    # its compiler, experiments/benchmarks/README.md).
    return jax.lax.platform_dependent(image, cpu=by_slices, default=by_windows)


class AttentionPool(nn.Module):
    """One learned query attends over the tokens (Lee et al. 2019, arXiv:1810.00825: PMA, k = 1)."""

    dim: int  # width of the result
    heads: int = 4  # must divide dim

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> Float[Array, "batch dim"]:
        query = self.param("query", nn.initializers.normal(1.0), (1, 1, self.dim))
        query = jnp.broadcast_to(query, (values.shape[0], 1, self.dim)).astype(values.dtype)
        attention = MultiHeadAttention(dim=self.dim, heads=self.heads)
        return attention(query, values, mask[:, None, :])[:, 0]
