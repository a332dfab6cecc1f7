"""Multimodal transformer (MulT), Tsai et al. 2019, arXiv:1906.00295."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.attention.transformer import fusion_block
from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Normed, Streams, side_by_side
from mmjax.types import Tokens


@final
class Mult(nn.Module):
    """x_mn = blocks(x_m, x_n) for each target m and source n != m;  y_m = blocks([x_mn for all n]).

    Each ordered pair has its own transformer, in which x_m attends to the same x_n = W_n z_n + e_n
    in every layer. With one modality y = blocks(x). No positions are added; encoders may add them.
    """

    layers: int = 1  # cross-modal blocks of each pair, and self-attention blocks of each target
    dim: int = 64  # width of x_mn; a fused token joins one per other modality
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns the tokens of all modalities, ordered by name, (M - 1) * dim wide."""
        require_at_least(self, 1, "layers")
        low = Streams(self.dim, name="streams")(modalities)
        visible = {name: modalities[name].mask[:, None] for name in low}

        fused = {}
        for target in low:
            views = []
            for source in (name for name in low if name != target):
                x = low[target]
                for layer in range(self.layers):
                    cross = fusion_block(self.heads, self.dropout, f"{source}_to_{target}_{layer}")
                    x = cross(x, None, train, low[source], visible[source])
                views.append(x)
            x = jnp.concatenate(views or [low[target]], axis=-1)
            for layer in range(self.layers):
                block = fusion_block(self.heads, self.dropout, f"{target}_{layer}")
                x = block(x, visible[target], train=train)
            fused[target] = x
        return Normed(name="out")(side_by_side(fused, modalities))
