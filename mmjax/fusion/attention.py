"""Cross-modal attention in one block, after Tsai et al. 2019 (MulT), arXiv:1906.00295."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.layers.attention import MultiHeadAttention
from mmjax.layers.masking import clear
from mmjax.layers.mlp import Mlp
from mmjax.layers.modalities import ordered
from mmjax.types import Tokens


@final
class Attention(nn.Module):
    """Every token asks the other modalities.

    x = W_m z + e_m;  x += attend(norm(x), norm(others));  x += mlp(norm(x)). With a single modality
    its tokens ask each other. One learned `nothing` token is always there to be looked at, so that
    a token whose other modalities are all missing gets a learned answer.
    """

    dim: int = 64  # width of the fused tokens
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], *, train: bool) -> Tokens:
        """Returns the tokens of all modalities, informed by each other, ordered by name."""
        projected, masks, owners = [], [], []
        for owner, (name, tokens) in enumerate(ordered(modalities)):
            # The bias of this layer is the modality's embedding e_m.
            projected.append(nn.Dense(self.dim, name=name)(clear(tokens.values, tokens.mask)))
            masks.append(tokens.mask)
            owners += [owner] * tokens.mask.shape[1]
        x, mask = jnp.concatenate(projected, axis=1), jnp.concatenate(masks, axis=1)

        batch = x.shape[0]
        nothing = self.param("nothing", nn.initializers.normal(0.02), (1, 1, self.dim))
        nothing = jnp.broadcast_to(nothing.astype(x.dtype), (batch, 1, self.dim))
        owner = np.array(owners)
        asks = (
            owner[:, None] != owner[None, :]
            if len(modalities) > 1
            else np.ones((x.shape[1],) * 2, bool)
        )
        may_look = jnp.concatenate(
            [asks[None] & mask[:, None, :], jnp.ones((batch, x.shape[1], 1), bool)], axis=2
        )
        normed = nn.LayerNorm(name="attention_norm")(jnp.concatenate([x, nothing], axis=1))
        x = x + MultiHeadAttention(self.dim, self.heads)(normed[:, :-1], normed, may_look)
        mlp = Mlp(hidden=(2 * self.dim,), dim=self.dim, dropout=self.dropout)
        x = x + mlp(nn.LayerNorm(name="mlp_norm")(x), train=train)
        return Tokens(clear(x, mask), mask)
