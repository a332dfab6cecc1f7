"""Tokens of an image, which is present or missing as a whole."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear
from mmjax.types import Tokens


def image_tokens(
    x: Float[Array, "batch *position channel"], mask: Bool[Array, "batch"], dim: int | None
) -> Tokens:
    """One token for each position, row by row; all are masked for a missing image.

    With `dim` the calling module gets a layer `projection`, W x + b, to that width.
    """
    values = jnp.reshape(x, (x.shape[0], -1, x.shape[-1]))
    if dim is not None:
        values = nn.Dense(dim, name="projection")(values)
    mask = jnp.broadcast_to(mask[:, None], values.shape[:2])
    return Tokens(clear(values, mask), mask)
