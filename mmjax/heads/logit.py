"""Fully connected head for binary and multi-label classification."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


@final
class Logit(nn.Module):
    """Logits: logit = mlp(mean of the tokens); without any token mlp(0), the learned prior.

    `hidden=()` is one linear layer. On concatenated vectors it is additive over the modalities,
    logit = w_1 z_1 + w_2 z_2 + b, and cannot represent that two modalities match.
    """

    hidden: tuple[int, ...] = (128,)  # widths of the hidden ReLU layers
    labels: int | None = None  # None: one logit per example; n: n independent labels per example
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> Float[Array, "batch *label"]:
        vector = masked_mean(tokens.values, tokens.mask)
        mlp = Mlp(hidden=self.hidden, dim=self.labels or 1, dropout=self.dropout)
        logits = mlp(vector, train=train)
        return jnp.squeeze(logits, axis=-1) if self.labels is None else logits
