"""Co-attention, Lu et al. 2019 (ViLBERT), arXiv:1908.02265."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.attention.transformer import TransformerBlock, fusion_block
from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Normed, Streams, side_by_side
from mmjax.types import Tokens


@final
class CoAttention(nn.Module):
    """One stream x_m per modality: x_m = block(x_m, [x_n for n != m]);  x_m = block(x_m).

    x_m = W_m z_m + e_m at first; each stream attends to the others as they were before the layer.
    With one modality there is only the second block. No positions are added; encoders may add them.
    """

    layers: int = 1  # pairs of a co-attention and a self-attention block in each stream
    dim: int = 64  # width of the fused tokens
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns the tokens of all modalities, ordered by name."""
        require_at_least(self, 1, "layers")
        streams = Streams(self.dim, name="streams")(modalities)
        masks = {name: modalities[name].mask for name in streams}

        def block(kind: str, layer: int, name: str) -> TransformerBlock:
            return fusion_block(self.heads, self.dropout, f"{kind}_{layer}_{name}")

        for layer in range(self.layers):
            before = dict(streams)
            for name, x in before.items():
                others = [other for other in before if other != name]
                if others:
                    context = jnp.concatenate([before[other] for other in others], axis=1)
                    visible = jnp.concatenate([masks[other] for other in others], axis=1)[:, None]
                    x = block("co", layer, name)(x, None, train, context, visible)
                streams[name] = block("self", layer, name)(x, masks[name][:, None], train)
        return Normed(name="out")(side_by_side(streams, modalities))
