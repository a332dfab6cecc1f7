"""Gated multimodal unit, Arevalo et al. 2017, arXiv:1702.01992."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Projections, one_token, pooled
from mmjax.types import Tokens


@final
class Gated(nn.Module):
    """z = sum_m g_m * tanh(W_m z_m);  g_m = sigmoid(V_m [z_1; ...; z_M]).

    The paper's form for any number of modalities. A missing modality contributes tanh(0) = 0.
    """

    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        del train
        require_at_least(self, 1, "dim")
        vectors = pooled(modalities)
        everything = jnp.concatenate([vector.value for vector in vectors.values()], axis=-1)
        gated = [
            nn.sigmoid(nn.Dense(self.dim, name=f"gate_{name}")(everything)) * nn.tanh(value)
            for name, (value, _) in Projections(self.dim, name="projection")(vectors).items()
        ]
        return one_token(jnp.sum(jnp.stack(gated), axis=0), modalities)
