"""Triplet loss with the hardest negative: VSE++, Faghri et al. 2018, arXiv:1707.05612."""

import dataclasses
from typing import final

import jax.numpy as jnp
from jax import Array

from mmjax.errors import UserError
from mmjax.objectives.pairs import Pairs


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Triplet(Pairs):
    """loss_i = max(0, margin + hardest negative's cosine - lowest positive's cosine), both ways.

    It needs no scale: --model.scale None.
    """

    margin: float = 0.2  # of cosines

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.margin <= 2:
            raise UserError(f"margin: expected above 0 and at most 2, got {self.margin}")

    def rows(self, cosines: Array, same: Array, counted: Array, scale: Array, bias: Array) -> Array:
        """0 for a row that has no negative."""
        del scale, bias
        negative = jnp.max(jnp.where(counted & ~same, cosines, -jnp.inf), axis=1)
        positive = jnp.min(jnp.where(same, cosines, jnp.inf), axis=1)
        compared = jnp.isfinite(negative) & jnp.isfinite(positive)
        gap = jnp.where(compared, negative - positive, 0.0)
        return jnp.where(compared, jnp.maximum(self.margin + gap, 0.0), 0.0)
