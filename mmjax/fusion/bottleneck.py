"""Multimodal bottleneck transformer (MBT), Nagrani et al. 2021, arXiv:2107.00135."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.attention.transformer import fusion_block
from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Normed, Streams, side_by_side
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


@final
class Bottleneck(nn.Module):
    """[x_m; f_m] = block_m([x_m; f]) for every modality m;  f = mean of f_m, unmasked m only.

    Modalities exchange information only through the few tokens f, which one layer writes and the
    next one reads. With `bottlenecks=0` each modality has a plain transformer of its own. No
    positions are added; encoders may add them.
    """

    bottlenecks: int = 4  # tokens in f
    layers: int = 2  # transformer blocks of each modality; at least 2 to exchange information
    fuse_from: int = 0  # first block with f; before it each modality is alone
    dim: int = 64  # width of the fused tokens
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns the tokens of all modalities, ordered by name, without f."""
        require_at_least(self, 1, "layers")
        require_at_least(self, 0, "bottlenecks", "fuse_from")
        if self.bottlenecks and self.layers - self.fuse_from < 2:
            raise ValueError(
                "bottleneck: expected at least 2 layers with bottleneck tokens (one writes what "
                f"the next reads), got layers={self.layers} and fuse_from={self.fuse_from}"
            )
        streams = Streams(self.dim, name="streams")(modalities)
        first = next(iter(streams.values()))
        size = (first.shape[0], self.bottlenecks, self.dim)
        f = first[:, :0]
        for layer in range(self.layers):
            if layer == self.fuse_from and self.bottlenecks:
                init = nn.initializers.normal(0.02)
                learned = self.param("bottleneck", init, size[1:]).astype(first.dtype)
                f = jnp.broadcast_to(learned[None], size)
            written = []
            for name, x in streams.items():
                mask = modalities[name].mask
                visible = jnp.pad(mask, ((0, 0), (0, f.shape[1])), constant_values=True)[:, None]
                block = fusion_block(self.heads, self.dropout, f"{name}_{layer}")
                x = block(jnp.concatenate([x, f], axis=1), visible, train=train)
                streams[name] = x[:, : mask.shape[1]]
                written.append(x[:, mask.shape[1] :].reshape(x.shape[0], -1))
            present = jnp.stack([modalities[name].present() for name in streams], axis=1)
            f = masked_mean(jnp.stack(written, axis=1), present).reshape(f.shape)
        return Normed(name="out")(side_by_side(streams, modalities))
