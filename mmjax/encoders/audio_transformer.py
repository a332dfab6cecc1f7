"""Transformer on a log-mel spectrogram, AST, Gong et al. 2021, arXiv:2104.01778."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.attention.patch_transformer import PatchBlocks
from mmjax.layers.convolution.spectrogram import log_mel
from mmjax.types import AnyArray, Tokens


@final
class AudioTransformer(nn.Module):
    """Audio: transformer blocks over tokens of `patch` frames with all their bands."""

    sample_rate: int = 16_000  # of the samples, in Hz
    window: float = 0.025  # seconds in a frame
    hop: float = 0.010  # seconds from one frame to the next
    mels: int = 64  # bands
    patch: int = 4  # frames in a token
    dim: int = 64  # width of a token
    layers: int = 2  # blocks
    heads: int = 4  # must divide dim
    dropout: float = 0.0  # share of embeddings and of sublayers' results dropped in training

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch sample"],
        mask: Bool[AnyArray, "batch sample"],
        train: bool,
    ) -> Tokens:
        """Returns one token for each `patch` frames; raises ValueError as `log_mel` does."""
        x, mask = log_mel(
            jnp.asarray(values), jnp.asarray(mask),
            sample_rate=self.sample_rate, window=self.window, hop=self.hop, mels=self.mels,
        )  # fmt: skip
        blocks = PatchBlocks(
            self.patch, self.dim, self.layers, self.heads, self.dropout, name="blocks"
        )
        return blocks(x, mask, train=train)
