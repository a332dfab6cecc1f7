"""Late fusion: every modality decides alone (Snoek et al. 2005, doi:10.1145/1101149.1101236)."""

from collections.abc import Mapping
from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.fields import require_at_least, require_choice
from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import masked_softmax
from mmjax.layers.tokens.modalities import one_token, pooled
from mmjax.types import Tokens


@final
class Late(nn.Module):
    """z = sum_m a_m mlp_m(z_m), sum_m a_m = 1 over the present modalities.

    Under a linear head (`hidden=()`) this averages the modalities' logits: head(sum_m a_m d_m) =
    sum_m a_m head(d_m). A deeper head mixes the decisions again.
    """

    weights: Literal["mean", "learned"] = "learned"  # a_m all equal, or a softmax of learned w_m
    dim: int = 64  # width of a modality's decision
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        require_at_least(self, 1, "dim")
        require_choice(self, "weights", "mean", "learned")
        vectors = pooled(modalities)
        decisions = [
            Mlp(hidden=(self.dim,), dim=self.dim, dropout=self.dropout, name=f"mlp_{name}")(
                value, train=train
            )
            for name, (value, _) in vectors.items()
        ]
        visible = jnp.stack([vector.present for vector in vectors.values()], axis=1)
        scores = jnp.zeros_like(decisions[0], shape=visible.shape)
        if self.weights == "learned" and len(vectors) > 1:
            learned = [self.param(f"weight_{n}", nn.initializers.zeros, ()) for n in vectors]
            scores = scores + jnp.stack(learned).astype(scores.dtype)[None]
        weights = masked_softmax(scores, visible)
        return one_token(jnp.einsum("bm,mbd->bd", weights, jnp.stack(decisions)), modalities)
