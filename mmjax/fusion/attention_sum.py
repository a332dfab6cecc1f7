"""Attention-weighted sum of the modalities (additive attention, Bahdanau 2015, arXiv:1409.0473)."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.masking import masked_softmax
from mmjax.layers.tokens.modalities import Projections, one_token, pooled
from mmjax.types import Tokens


@final
class AttentionSum(nn.Module):
    """z = sum_m a_m x_m;  a = softmax_m(v . tanh(U x_m)), unmasked m only;  x_m = W_m z_m."""

    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token; the weights [batch, modality] are sown as "attention"."""
        del train
        require_at_least(self, 1, "dim")
        vectors = Projections(self.dim, name="projection")(pooled(modalities)).values()
        values = jnp.stack([vector.value for vector in vectors], axis=1)
        if len(vectors) == 1:  # its weight is 1: scores would have no gradient
            return one_token(values[:, 0], modalities)
        visible = jnp.stack([vector.present for vector in vectors], axis=1)
        hidden = nn.tanh(nn.Dense(self.dim, name="hidden")(values))
        # No bias: a number added to all scores does not change their softmax.
        scores = nn.Dense(1, use_bias=False, name="score")(hidden)[:, :, 0]
        weights = masked_softmax(scores, visible)
        self.sow("intermediates", "attention", weights)
        return one_token(jnp.einsum("bm,bmd->bd", weights, values), modalities)
