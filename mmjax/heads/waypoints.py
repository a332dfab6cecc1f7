"""The path that a vehicle takes, as waypoints (Codevilla et al. 2018, arXiv:1710.02410)."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import require_at_least, require_choice
from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


@final
class Waypoints(nn.Module):
    """x and y of each step: mlp(pooled tokens); without any token mlp(0), the learned prior.

    They are in standard deviations from the mean path of the training split. `flatten` tells the
    tokens of a grid apart by their places, and so fixes their number.
    """

    steps: int = 6  # waypoints
    hidden: tuple[int, ...] = (128,)  # widths of the hidden ReLU layers; (): one linear layer
    pooling: Literal["mean", "flatten"] = "mean"  # how tokens become one vector
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> Float[Array, "batch step 2"]:
        require_at_least(self, 1, "steps")
        require_choice(self, "pooling", "mean", "flatten")
        vector = masked_mean(tokens.values, tokens.mask)
        if self.pooling == "flatten":
            vector = jnp.reshape(clear(tokens.values, tokens.mask), (vector.shape[0], -1))
        mlp = Mlp(hidden=self.hidden, dim=2 * self.steps, dropout=self.dropout)
        return jnp.reshape(mlp(vector, train=train), (vector.shape[0], self.steps, 2))
