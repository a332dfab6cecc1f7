"""Convolutional head for occupied cells of the ground, Elfes 1989, doi:10.1109/2.30720."""

import math
from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


@final
class Occupancy(nn.Module):
    """Logits of the cells of a grid: convolutions over one token for each cell, plus b_cell.

    Tokens in another number are averaged, and a linear layer makes the cells of their mean. Without
    any token the logits are the learned prior of each cell.
    """

    cells: tuple[int, int] = (16, 16)  # along x and along y; the tokens are row by row
    features: tuple[int, ...] = (32,)  # channels of the hidden 3x3 ReLU convolutions

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> Float[Array, "batch row cell"]:
        """Raises ValueError for a grid without cells."""
        del train
        rows, columns = self.cells
        if min(self.cells) < 1:
            raise ValueError(f"Occupancy.cells: expected at least 1 x 1, got {self.cells}")
        if tokens.values.shape[1] == math.prod(self.cells):
            x = clear(tokens.values, tokens.mask)
        else:
            width = self.features[0] if self.features else 1
            mean = masked_mean(tokens.values, tokens.mask)
            x = nn.Dense(rows * columns * width, use_bias=False, name="cells")(mean)
        x = jnp.reshape(x, (x.shape[0], rows, columns, -1))
        for layer, features in enumerate(self.features):
            x = nn.relu(Conv(features, (3, 3), name=f"conv_{layer}")(x))
        logits = Conv(1, (3, 3), use_bias=False, name="logits")(x)[..., 0]
        prior = self.param("cell_bias", nn.initializers.zeros, (rows, columns))
        return logits + prior.astype(logits.dtype)[None]
