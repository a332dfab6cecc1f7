"""Tokens of a text: one for each word, or one for the text."""

from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


def word_tokens(
    x: Float[Array, "batch word width"],
    mask: Bool[Array, "batch word"],
    dim: int | None,
    pooling: Literal["none", "mean", "first", "last"],
) -> Tokens:
    """The unmasked words, their mean, or the first or last of them; no token for an empty text.

    With `dim` the calling module gets a layer `projection`, W x + b, to that width.
    """
    if pooling != "none":
        x = (masked_mean(x, mask) if pooling == "mean" else _end(x, mask, pooling))[:, None]
        mask = jnp.any(mask, axis=1, keepdims=True)
    if dim is not None:
        x = nn.Dense(dim, name="projection")(x)
    return Tokens(clear(x, mask), mask)


def _end(x: Array, mask: Array, which: str) -> Array:
    """The first or last unmasked word."""
    if mask.shape[1] == 0:
        return jnp.zeros((x.shape[0], x.shape[2]), x.dtype)
    place = jnp.argmax(mask, axis=1)
    if which == "last":
        place = mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1)
    return jnp.take_along_axis(x, place[:, None, None], axis=1)[:, 0]
