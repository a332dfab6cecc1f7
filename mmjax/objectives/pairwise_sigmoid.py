"""Pairwise sigmoid loss of SigLIP, Zhai et al. 2023, arXiv:2303.15343."""

import dataclasses
from typing import final

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.objectives.pairs import Pairs


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PairwiseSigmoid(Pairs):
    """loss_i = -sum over j of log sigmoid(y_ij (scale z_i . z_j + bias)), y = 1 for pairs, else -1.

    Each pair is a yes-or-no question of its own. Give the model a bias, such as --model.bias -10
    with --model.scale 10, so that it starts with "no".
    """

    def rows(self, cosines: Array, same: Array, counted: Array, scale: Array, bias: Array) -> Array:
        """The sum over all columns that count."""
        logits = scale * cosines + bias
        losses = jax.nn.softplus(jnp.where(same, -logits, logits))
        return jnp.sum(jnp.where(counted, losses, 0.0), axis=1)
