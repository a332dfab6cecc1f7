"""Multimodal transformer (MulT), Tsai et al. 2019, arXiv:1906.00295."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.masking import clear
from mmjax.layers.modalities import ordered
from mmjax.layers.transformer import Block
from mmjax.types import Tokens


@final
class Mult(nn.Module):
    """x_mn = blocks(x_m, x_n) for each target m and source n != m;  y_m = blocks([x_mn for all n]).

    Directional and pairwise: every pair has a transformer of its own, in which x_m asks the same
    low-level x_n at every layer. With one modality y = blocks(x).
    """

    layers: int = 1  # cross-modal blocks of each pair, and self-attention blocks of each target
    dim: int = 64  # width of each direction; a fused token has one direction per other modality
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], *, train: bool) -> Tokens:
        """Returns the tokens of all modalities, ordered by name, (M - 1) * dim wide."""
        given = dict(ordered(modalities))
        low = {
            name: nn.Dense(self.dim, name=f"projection_{name}")(clear(tokens.values, tokens.mask))
            for name, tokens in given.items()
        }
        streams = []
        for target, tokens in given.items():
            sources = [name for name in given if name != target]
            views = [low[target]] if not sources else []
            for source in sources:
                x = low[target]
                for layer in range(self.layers):
                    block = Block(
                        self.dim, self.heads, self.dropout, name=f"{source}_to_{target}_{layer}"
                    )
                    x = block(x, given[source].mask, low[source], train=train)
                views.append(x)
            x = jnp.concatenate(views, axis=-1)
            for layer in range(self.layers):
                block = Block(x.shape[-1], self.heads, self.dropout, name=f"{target}_{layer}")
                x = block(x, tokens.mask, train=train)
            streams.append(x)
        x = jnp.concatenate(streams, axis=1)
        mask = jnp.concatenate([tokens.mask for tokens in given.values()], axis=1)
        return Tokens(clear(nn.LayerNorm(name="norm")(x), mask), mask)
