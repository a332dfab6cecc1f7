"""Perceiver, Jaegle et al. 2021, arXiv:2103.03206."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.attention.transformer import fusion_block
from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Join, Normed, present
from mmjax.types import Tokens


@final
class Perceiver(nn.Module):
    """x = block(latents, [W_m z_m + e_m for all m]);  x = block(x), `layers` times;  norm(x).

    Cost is linear in the number of tokens; their order has no effect.
    """

    latents: int = 8  # learned tokens that read the modalities
    layers: int = 1  # self-attention blocks over the latents
    dim: int = 64  # width of the latents
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns the latents."""
        require_at_least(self, 1, "latents", "layers")
        joined = Join(self.dim, name="join")(modalities)
        context, mask = joined.values, joined.mask
        latents = self.param("latents", nn.initializers.normal(1.0), (self.latents, self.dim))
        x = jnp.broadcast_to(latents.astype(context.dtype)[None], (mask.shape[0], *latents.shape))
        read = fusion_block(self.heads, self.dropout, "read")
        x = read(x, None, train, context, mask[:, None])
        latent_mask = jnp.broadcast_to(present(modalities)[:, None], x.shape[:2])
        for layer in range(self.layers):
            block = fusion_block(self.heads, self.dropout, f"block_{layer}")
            x = block(x, latent_mask[:, None], train=train)
        return Normed(name="out")(Tokens(x, latent_mask))
