"""Relation network, Santoro et al. 2017, arXiv:1706.01427."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.modalities import one_token, ordered, pooled
from mmjax.types import Tokens


def total_of_pairs(
    pairs: Float[Array, "batch token token dim"], mask: Bool[Array, "batch token"]
) -> Float[Array, "batch dim"]:
    """sum_ij pairs_ij over the tokens i and j that are both visible."""
    visible = mask[:, :, None] & mask[:, None, :]
    return jnp.sum(clear(pairs, visible), axis=(1, 2))


@final
class Relation(nn.Module):
    """z = norm(sum_m sum_ij g_m(A_m x_i + B_m x_j + C_m o_m));  o_m: the other modalities' means.

    x are the tokens of modality m, and g is ReLU, then `layers` times a linear layer with ReLU. The
    paper has objects and one question; here each modality's pairs are conditioned on all others,
    so that none has to be chosen. The cost is quadratic in a modality's tokens. No positions are
    added; encoders may add them.
    """

    dim: int = 64  # width of the hidden layers and of the fused vector
    layers: int = 2  # linear layers with ReLU after the first

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        del train
        require_at_least(self, 1, "dim", "layers")
        means = pooled(modalities)
        totals = []
        for name, tokens in ordered(modalities):
            x = clear(tokens.values, tokens.mask)
            left = nn.Dense(self.dim, name=f"left_{name}")(x)
            right = nn.Dense(self.dim, use_bias=False, name=f"right_{name}")(x)
            pairs = left[:, :, None] + right[:, None]
            others = [mean.value for other, mean in means.items() if other != name]
            if others:
                condition = nn.Dense(self.dim, use_bias=False, name=f"condition_{name}")
                pairs += condition(jnp.concatenate(others, axis=-1))[:, None, None]
            pairs = nn.relu(pairs)
            for layer in range(self.layers):
                pairs = nn.relu(nn.Dense(self.dim, name=f"{name}_{layer}")(pairs))
            totals.append(total_of_pairs(pairs, tokens.mask))
        return one_token(layer_norm("norm")(jnp.sum(jnp.stack(totals), axis=0)), modalities)
