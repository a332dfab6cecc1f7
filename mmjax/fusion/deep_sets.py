"""Deep Sets, Zaheer et al. 2017, arXiv:1703.06114."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.fields import require_at_least
from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.modalities import Join, one_token
from mmjax.types import Tokens


@final
class DeepSets(nn.Module):
    """z = rho(sum of phi(x) over all tokens of all modalities);  x = W_m z + e_m.

    The order of tokens has no effect, but their number does: it is a sum, not a mean.
    """

    dim: int = 64  # width of x, phi and rho
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        require_at_least(self, 1, "dim")
        joined = Join(self.dim, name="join")(modalities)
        phi = Mlp(hidden=(self.dim,), dim=self.dim, dropout=self.dropout, name="phi")
        rho = Mlp(hidden=(self.dim,), dim=self.dim, dropout=self.dropout, name="rho")
        total = jnp.sum(clear(phi(joined.values, train=train), joined.mask), axis=1)
        return one_token(rho(total, train=train), modalities)
