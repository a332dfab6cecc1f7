"""LSTM text encoder: embeddings read in order, Sutskever et al. 2014, arXiv:1409.3215."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Int

from mmjax.layers.masking import clear
from mmjax.layers.pooling import masked_mean
from mmjax.layers.recurrent import LstmLayer
from mmjax.types import AnyArray, Tokens


@final
class Lstm(nn.Module):
    """Text: word embeddings through one or more LSTM layers; any length, padding anywhere.

    A text of length 0 is a text that is not there: its token is masked.
    """

    vocabulary_size: int = 10_000  # ids run from 0 to vocabulary_size - 1
    embedding_dim: int = 32  # width of a word's embedding
    dim: int = 64  # width of the state of each direction
    layers: int = 1  # LSTM layers, each reading the states of the one below
    bidirectional: bool = False  # read backwards too; doubles a token's width
    dropout: float = 0.0  # share of inputs dropped before each layer in training
    pooling: Literal["last", "mean", "none"] = "last"  # last state, mean state, or one token a word

    @nn.compact
    def __call__(
        self,
        values: Int[AnyArray, "batch word"],
        mask: Bool[AnyArray, "batch word"],
        *,
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each word with `pooling="none"`."""
        if self.layers < 1:
            raise ValueError(f"lstm: layers must be at least 1, got {self.layers}")
        mask = jnp.asarray(mask)
        x = nn.Embed(self.vocabulary_size, self.embedding_dim)(clear(values, mask))
        directions = (
            {"forward": False, "backward": True} if self.bidirectional else {"forward": False}
        )
        finals = []
        for layer in range(self.layers):
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            reads = [
                LstmLayer(self.dim, reverse, name=f"layer_{layer}_{direction}")(x, mask)
                for direction, reverse in directions.items()
            ]
            x = jnp.concatenate([states for states, _ in reads], axis=-1)
            finals = [final for _, final in reads]
        if self.pooling == "none":
            return Tokens(clear(x, mask), mask)
        vector = (
            masked_mean(x, mask) if self.pooling == "mean" else jnp.concatenate(finals, axis=-1)
        )
        return Tokens(vector[:, None, :], jnp.any(mask, axis=1, keepdims=True))
