"""The path that a vehicle takes, as waypoints (Codevilla et al. 2018, arXiv:1710.02410)."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


@final
class Waypoints(nn.Module):
    """x and y of each step: mlp(mean of the tokens); without any token mlp(0), the learned prior.

    They are in standard deviations from the mean path of the training split.
    """

    steps: int = 6  # waypoints
    hidden: tuple[int, ...] = (128,)  # widths of the hidden ReLU layers; (): one linear layer
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> Float[Array, "batch step 2"]:
        require_at_least(self, 1, "steps")
        vector = masked_mean(tokens.values, tokens.mask)
        mlp = Mlp(hidden=self.hidden, dim=2 * self.steps, dropout=self.dropout)
        return jnp.reshape(mlp(vector, train=train), (vector.shape[0], self.steps, 2))
