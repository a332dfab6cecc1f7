"""Multimodal bottleneck transformer (MBT), Nagrani et al. 2021, arXiv:2107.00135."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.masking import clear
from mmjax.layers.modalities import ordered
from mmjax.layers.pooling import masked_mean
from mmjax.layers.transformer import Block
from mmjax.types import Tokens


@final
class Bottleneck(nn.Module):
    """[x_m; f_m] = block_m([x_m; f]) for every modality m;  f = mean of the f_m that are there.

    All that passes between modalities passes through the few tokens f: written in one layer, read
    in the next. Without them (`bottlenecks=0`) every modality has a plain transformer of its own.
    """

    bottlenecks: int = 4  # tokens in f
    layers: int = 2  # transformer blocks of each modality; to meet, modalities need 2
    fuse_from: int = 0  # blocks before which each modality is alone
    dim: int = 64  # width of the fused tokens
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], *, train: bool) -> Tokens:
        """Returns the tokens of all modalities, ordered by name; not f."""
        if self.bottlenecks and self.layers - self.fuse_from < 2:
            raise ValueError(
                "bottleneck: expected at least 2 layers with bottleneck tokens (one writes what "
                f"the next reads), got layers={self.layers} and fuse_from={self.fuse_from}"
            )
        given = dict(ordered(modalities))
        streams = {
            name: nn.Dense(self.dim, name=f"projection_{name}")(clear(tokens.values, tokens.mask))
            for name, tokens in given.items()
        }
        first = next(iter(streams.values()))
        size = (len(first), self.bottlenecks, self.dim)
        f = jnp.zeros_like(first, shape=(len(first), 0, self.dim))
        for layer in range(self.layers):
            if layer == self.fuse_from and self.bottlenecks:
                init = nn.initializers.normal(0.02)
                learned = self.param("bottleneck", init, size[1:]).astype(first.dtype)
                f = jnp.broadcast_to(learned[None], size)
            written = []
            for name, x in streams.items():
                count = x.shape[1]
                mask = jnp.pad(given[name].mask, ((0, 0), (0, f.shape[1])), constant_values=True)
                block = Block(self.dim, self.heads, self.dropout, name=f"{name}_{layer}")
                x = block(jnp.concatenate([x, f], axis=1), mask, train=train)
                streams[name] = x[:, :count]
                written.append(x[:, count:].reshape(len(x), -1))
            there = jnp.stack([tokens.present() for tokens in given.values()], axis=1)
            f = masked_mean(jnp.stack(written, axis=1), there).reshape(f.shape)
        x = jnp.concatenate(list(streams.values()), axis=1)
        mask = jnp.concatenate([tokens.mask for tokens in given.values()], axis=1)
        return Tokens(clear(nn.LayerNorm(name="norm")(x), mask), mask)
