"""Embeddings of the words of a padded text and of their positions."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float, Int

from mmjax.layers.tokens.masking import clear
from mmjax.types import AnyArray, Tokens


class WordEmbedding(nn.Module):
    """x_i = E[id_i]; zeros for masked words.

    A word whose id is outside 0..vocabulary_size - 1 is masked. (Indexing would clip it to another
    word; Flax's `Embed` returns NaN.)
    """

    vocabulary_size: int  # rows of E
    width: int  # columns of E
    scale: float | None = None  # standard deviation of initial entries; None: 1 / sqrt(width)

    @nn.compact
    def __call__(
        self, values: Int[AnyArray, "batch word"], mask: Bool[AnyArray, "batch word"]
    ) -> Tokens:
        ids, scale = jnp.asarray(values), self.width**-0.5 if self.scale is None else self.scale
        table = self.param(
            "embedding", nn.initializers.normal(scale), (self.vocabulary_size, self.width)
        )
        known = jnp.asarray(mask) & (ids >= 0) & (ids < self.vocabulary_size)
        x = jnp.take(jnp.asarray(table), clear(ids, known), axis=0)
        return Tokens(clear(x, known), known)


class PositionEmbedding(nn.Module):
    """x_i = x_i + P[first + i]; i counts padding too."""

    positions: int  # rows of P: words of the longest text

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch word width"], first: Int[Array, ""] | None = None
    ) -> Float[Array, "batch word width"]:
        """Raises ValueError for a text longer than `positions`, padding included.

        `first`: the position of the first word; None: 0.
        """
        _, length, width = x.shape
        table = self.param("table", nn.initializers.normal(0.02), (self.positions, width))
        if length > self.positions:
            raise ValueError(
                f"a text may have at most {self.positions} words, padding counted, got {length}; "
                "shorten the texts or raise the encoder's positions"
            )
        if first is None:
            return x + table[None, :length].astype(x.dtype)
        rows = jax.lax.dynamic_slice_in_dim(jnp.asarray(table), first, length)
        return x + rows[None].astype(x.dtype)
