"""The encoder that `Lstm` and `Gru` share: a sequence read in order, token by token."""

import abc
from typing import ClassVar, Literal

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float, Int

from mmjax.errors import UserError
from mmjax.layers.recurrent.recurrent_stack import RecurrentStack
from mmjax.layers.recurrent.streaming import streaming
from mmjax.layers.tokens.intervals import with_intervals
from mmjax.layers.tokens.word_embedding import WordEmbedding
from mmjax.types import AnyArray, Tokens


class Recurrent(nn.Module, abc.ABC):
    """Text (word numbers) or series (rows of numbers) of any length, with padding anywhere."""

    cell: ClassVar[Literal["lstm", "gru"]]

    vocabulary_size: int = 10_000  # of a text: ids run from 0; words with other ids are masked
    embedding_dim: int = 32  # of a text: width of a word's embedding
    dim: int = 64  # width of the state of each direction
    layers: int = 1  # recurrent layers, each reading the states of the layer below
    bidirectional: bool = False  # read backwards too; doubles a token's width
    dropout: float = 0.0  # share of inputs dropped before each layer in training
    pooling: Literal["last", "mean", "none"] = "last"  # last state, mean, or one token per input
    time: int | None = None  # of a series: the channel of irregular time stamps
    unroll: int = 1  # tokens in one iteration of the compiled loop: speed only; 1 is best on CPUs

    @nn.compact
    def __call__(
        self,
        values: Int[AnyArray, "batch token"] | Float[AnyArray, "batch token feature"],
        mask: Bool[AnyArray, "batch token"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each input token with `pooling="none"`."""
        values, mask = jnp.asarray(values), jnp.asarray(mask)
        if jnp.issubdtype(values.dtype, jnp.integer):
            embedding = WordEmbedding(self.vocabulary_size, self.embedding_dim, name="embedding")
            x = embedding(values, mask)
        else:
            if streaming(self) and self.time is not None:
                raise UserError("streaming: intervals of time stamps need the whole series")
            x = Tokens(with_intervals(values, mask, self.time), mask)
        stack = RecurrentStack(
            self.cell, self.dim, self.layers, self.bidirectional, self.dropout, self.pooling,
            self.unroll, name=self.cell,
        )  # fmt: skip
        return stack(x.values, x.mask, train)
