"""Encoder of precomputed features, token by token: the patch embedding of ViT, arXiv:2010.11929."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import clear
from mmjax.types import AnyArray, Tokens


@final
class Features(nn.Module):
    """Features: token = mlp(x), each token by itself; with `hidden=()` a linear projection W x + b.

    For any rows of numbers: frames of sound or touch, points, one row of a table.
    """

    dim: int = 64  # width of a token
    hidden: tuple[int, ...] = ()  # widths of hidden ReLU layers
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch token feature"],
        mask: Bool[AnyArray, "batch token"],
        train: bool,
    ) -> Tokens:
        """Returns one token for each input token."""
        mask = jnp.asarray(mask)
        mlp = Mlp(hidden=self.hidden, dim=self.dim, dropout=self.dropout, name="mlp")
        return Tokens(clear(mlp(clear(values, mask), train=train), mask), mask)
