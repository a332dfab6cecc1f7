"""Co-attention, Lu et al. 2019 (ViLBERT), arXiv:1908.02265."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.masking import clear
from mmjax.layers.modalities import ordered
from mmjax.layers.transformer import Block
from mmjax.types import Tokens


@final
class CoAttention(nn.Module):
    """One stream x_m per modality: x_m = block(x_m, [x_n for n != m]);  x_m = block(x_m).

    All streams look at the others as they were before the layer. With one modality, or where all
    others are missing, only the second block does anything but pass on.
    """

    layers: int = 1  # pairs of a co-attention and a self-attention block in each stream
    dim: int = 64  # width of the fused tokens
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], *, train: bool) -> Tokens:
        """Returns the tokens of all modalities, ordered by name."""
        given = dict(ordered(modalities))
        masks = {name: tokens.mask for name, tokens in given.items()}
        streams = {
            name: nn.Dense(self.dim, name=f"projection_{name}")(clear(tokens.values, tokens.mask))
            for name, tokens in given.items()
        }

        def block(kind: str, layer: int, name: str) -> Block:
            return Block(self.dim, self.heads, self.dropout, name=f"{kind}_{layer}_{name}")

        for layer in range(self.layers):
            before = dict(streams)
            for name, x in before.items():
                others = [other for other in before if other != name]
                if others:
                    context = jnp.concatenate([before[other] for other in others], axis=1)
                    mask = jnp.concatenate([masks[other] for other in others], axis=1)
                    x = block("co", layer, name)(x, mask, context, train=train)
                streams[name] = block("self", layer, name)(x, masks[name], train=train)
        x = jnp.concatenate(list(streams.values()), axis=1)
        mask = jnp.concatenate(list(masks.values()), axis=1)
        return Tokens(clear(nn.LayerNorm(name="norm")(x), mask), mask)
