"""Cross-modal attention in one block, after Tsai et al. 2019 (MulT), arXiv:1906.00295."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.attention import MultiHeadAttention
from mmjax.layers.masking import clear
from mmjax.layers.modalities import Join
from mmjax.layers.transformer import FeedForward
from mmjax.types import Tokens


@final
class CrossAttention(nn.Module):
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
        x, mask, owner = Join(self.dim, name="join")(modalities)
        batch, count, _ = x.shape
        nothing = self.param("nothing", nn.initializers.normal(0.02), (1, 1, self.dim))
        nothing = jnp.broadcast_to(nothing.astype(x.dtype), (batch, 1, self.dim))
        asks = owner[:, None] != owner[None, :]
        if len(modalities) == 1:
            asks = jnp.ones_like(asks)
        may_look = jnp.concatenate(
            [asks[None] & mask[:, None, :], jnp.ones((batch, count, 1), bool)], axis=2
        )
        normed = nn.LayerNorm(name="norm")(jnp.concatenate([x, nothing], axis=1))
        attention = MultiHeadAttention(self.dim, self.heads, name="attention")
        x = x + attention(normed[:, :-1], normed, may_look)
        x = FeedForward(self.dim, self.dropout, name="feed_forward")(x, train=train)
        return Tokens(clear(x, mask), mask)
