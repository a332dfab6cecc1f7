"""Fully connected head for a number."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


@final
class Number(nn.Module):
    """A standardised number: mlp(mean of the tokens); without any token mlp(0), the learned prior.

    It is in standard deviations from the mean of the training split's target.
    """

    hidden: tuple[int, ...] = (128,)  # widths of the hidden ReLU layers; (): one linear layer
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> Float[Array, "batch"]:
        vector = masked_mean(tokens.values, tokens.mask)
        mlp = Mlp(hidden=self.hidden, dim=1, dropout=self.dropout)
        return jnp.squeeze(mlp(vector, train=train), axis=-1)
