"""Recurrent layers in one or both directions, and tokens from their states."""

from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.errors import UserError
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_choice, require_share
from mmjax.layers.recurrent.gru import GruLayer
from mmjax.layers.recurrent.lstm import LstmLayer
from mmjax.layers.recurrent.streaming import carried, streaming
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens

CELLS = {"lstm": LstmLayer, "gru": GruLayer}


class RecurrentStack(nn.Module):
    """Each layer reads the states of the layer below; both directions are concatenated."""

    cell: Literal["lstm", "gru"]
    dim: int  # width of the state of each direction
    layers: int
    bidirectional: bool
    dropout: float  # share of inputs dropped before each layer in training
    pooling: Literal["last", "mean", "none"]  # last state, mean state, or one token per input
    unroll: int = 1  # tokens in one iteration of the compiled loop

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch token width"],
        mask: Bool[Array, "batch token"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each input token with `pooling="none"`."""
        require_at_least(self, 1, "layers", "dim", "unroll")
        require_share(self, "dropout")
        require_choice(self, "pooling", "last", "mean", "none")
        layer_of = CELLS[self.cell]
        directions = {"forward": False} | ({"backward": True} if self.bidirectional else {})
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
        last = jnp.concatenate(finals, axis=-1)
        vector = masked_mean(x, mask) if self.pooling == "mean" else last
        seen = jnp.any(mask, axis=1, keepdims=True)
        if streaming(self):
            if self.pooling == "mean":
                raise UserError('streaming: pooling="mean" needs the whole series; take "last"')
            before = carried(self, "seen", jnp.zeros_like(seen))
            seen = before.value = seen | before.value
        return Tokens(vector[:, None, :], seen)
