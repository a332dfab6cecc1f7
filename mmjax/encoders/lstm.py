"""LSTM encoder: a sequence read in order, Sutskever et al. 2014, arXiv:1409.3215."""

from typing import Literal, final

from flax import linen as nn
from jaxtyping import Bool, Float, Int

from mmjax.encoders.sequence import embedded
from mmjax.layers.recurrent.recurrent_stack import RecurrentStack
from mmjax.types import AnyArray, Tokens


@final
class Lstm(nn.Module):
    """Text (word numbers) or series (rows of numbers): LSTM layers; any length, padding anywhere.

    A sequence of length 0 is one that is not there: its token is masked.
    """

    vocabulary_size: int = 10_000  # of a text: ids run from 0; others are no words, and masked
    embedding_dim: int = 32  # of a text: width of a word's embedding
    dim: int = 64  # width of the state of each direction
    layers: int = 1  # LSTM layers, each reading the states of the one below
    bidirectional: bool = False  # read backwards too; doubles a token's width
    dropout: float = 0.0  # share of inputs dropped before each layer in training
    pooling: Literal["last", "mean", "none"] = "last"  # last state, mean state, or one token a word
    time: int | None = None  # of a series: the channel of irregular time stamps
    unroll: int = 1  # tokens in one turn of the compiled loop: costs alone; 1 is best on CPUs

    @nn.compact
    def __call__(
        self,
        values: Int[AnyArray, "batch token"] | Float[AnyArray, "batch token feature"],
        mask: Bool[AnyArray, "batch token"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each that was read with `pooling="none"`."""
        read = embedded(values, mask, self.vocabulary_size, self.embedding_dim, self.time)
        stack = RecurrentStack(
            "lstm", self.dim, self.layers, self.bidirectional, self.dropout, self.pooling,
            self.unroll, name="lstm",
        )  # fmt: skip
        return stack(read.values, read.mask, train=train)
