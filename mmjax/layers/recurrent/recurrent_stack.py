"""Several recurrent layers, in one direction or in both, and how their states become tokens."""

from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_choice, require_share
from mmjax.layers.recurrent.gru import GruLayer
from mmjax.layers.recurrent.lstm import LstmLayer
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens

CELLS = {"lstm": LstmLayer, "gru": GruLayer}


class RecurrentStack(nn.Module):
    """Each layer reads the states of the one below; a layer of two directions joins both."""

    cell: Literal["lstm", "gru"]
    dim: int  # width of the state of each direction
    layers: int
    bidirectional: bool
    dropout: float  # share of inputs dropped before each layer in training
    pooling: Literal[
        "last", "mean", "none"
    ]  # last state, mean state, or a token for each that is read
    unroll: int = 1  # tokens in one turn of the compiled loop

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch token width"],
        mask: Bool[Array, "batch token"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each that was read with `pooling="none"`."""
        require_at_least(self, 1, "layers", "dim", "unroll")
        require_share(self, "dropout")
        require_choice(self, "pooling", "last", "mean", "none")
        layer_of = CELLS[self.cell]
        directions = (
            {"forward": False, "backward": True} if self.bidirectional else {"forward": False}
        )
        finals = []
        for layer in range(self.layers):
            x = Dropout(self.dropout)(x, train=train)
            reads = [
                layer_of(self.dim, reverse, self.unroll, name=f"layer_{layer}_{direction}")(x, mask)
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
