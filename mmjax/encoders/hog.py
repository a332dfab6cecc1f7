"""Image encoder that learns from few examples: histograms of gradients, Dalal & Triggs 2005.

doi:10.1109/CVPR.2005.177
"""

import math
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.convolution.batch_norm import BatchNorm
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_share
from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing.precision import in_kernel_dtype
from mmjax.types import AnyArray, Tokens

_TINY, _SMALL = 1e-12, 1e-6  # so that gradients of a flat image are finite


@final
class Hog(nn.Module):
    """Image: mean colours and histograms of gradients in cells, then z = mlp(x) + linear(x).

    What is computed of the pixels is not learned, so that a thousand images are enough; BatchNorm
    scales it. An image of any size gives as many cells.
    """

    dim: int = 64  # width of the token
    cells: int = 4  # in each direction
    bins: int = 8  # directions of gradients, over 180 degrees
    hidden: tuple[int, ...] = (256,)  # widths of hidden ReLU layers
    dropout: float = 0.0  # share of hidden units dropped in training, and half as much of x

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch height width channel"],
        mask: Bool[AnyArray, "batch"],
        train: bool,
    ) -> Tokens:
        """Returns one token; raises ValueError for an image with fewer pixels than cells."""
        require_at_least(self, 1, "dim", "cells", "bins")
        require_share(self, "dropout")
        height, width = values.shape[1:3]
        least = max(2, self.cells)
        if min(height, width) < least:
            raise ValueError(
                f"hog: an image must be at least {least}x{least} pixels, got {height}x{width}"
            )
        mask = jnp.asarray(mask)
        x = descriptors(clear(jnp.asarray(values), mask), self.cells, self.bins)
        x = BatchNorm(name="norm")(x, mask, train)
        x = Dropout(self.dropout / 2)(x, train=train)
        mlp = Mlp(hidden=self.hidden, dim=self.dim, dropout=self.dropout, name="mlp")
        linear = nn.Dense(self.dim, False, promote_dtype=in_kernel_dtype, name="linear")
        token = mlp(x, train=train) + linear(x)
        return Tokens(clear(token[:, None], mask[:, None]), mask[:, None])


def descriptors(
    images: Float[Array, "batch height width channel"], cells: int, bins: int
) -> Float[Array, "batch descriptor"]:
    """Mean colours and histograms of gradients of images that are divided into cells.

    For each of `cells` x `cells` parts, the mean of each channel, then a histogram of `bins`
    directions, `[batch, cells^2 (channel + bins)]`. A pixel counts by its gradient's length, in the
    two bins next to its direction by how near they are; histograms have length 1. Bin 0 is that of
    vertical edges.
    """
    grey = jnp.mean(images, axis=-1)
    down, right = jnp.gradient(grey, axis=(1, 2))
    # Directions that are opposite are the same.
    place = jax.lax.stop_gradient(jnp.arctan2(down, right) / math.pi) % 1 * bins
    lower = jnp.floor(place)
    above = (place - lower)[..., None]
    first = lower.astype(jnp.int32)
    votes = [jax.nn.one_hot((first + i) % bins, bins, dtype=grey.dtype) for i in (0, 1)]
    length = jnp.sqrt(jnp.square(down) + jnp.square(right) + _TINY)
    edges = (votes[0] * (1 - above) + votes[1] * above) * length[..., None]
    shares = [jnp.asarray(_shares(side, cells), grey.dtype) for side in images.shape[1:3]]

    def pooled(x: Array) -> Array:
        return jnp.einsum("bhwc,ih,jw->bijc", x, *shares)

    histograms = pooled(edges)
    squares = jnp.sum(jnp.square(histograms), axis=-1, keepdims=True)
    histograms = histograms * jax.lax.rsqrt(squares + _SMALL)
    both = jnp.concatenate([pooled(images), histograms], axis=-1)
    return jnp.reshape(both, (images.shape[0], -1))


def _shares(size: int, cells: int) -> np.ndarray:
    """The share `[cell, pixel]` of each pixel in the mean of its cell."""
    member = np.eye(cells)[:, np.arange(size) * cells // size]
    return member / member.sum(axis=1, keepdims=True)
