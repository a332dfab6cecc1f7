"""Concatenation, Ngiam et al. 2011, Multimodal Deep Learning (ICML)."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.modalities import ordered
from mmjax.layers.pooling import masked_mean
from mmjax.types import Tokens


@final
class Concat(nn.Module):
    """z = [z_1; ...; z_M], z_m the mean of a modality's tokens, zeros where it is missing."""

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], *, train: bool) -> Tokens:
        """Returns one token as wide as all modalities together."""
        del train
        tokens = [tokens for _, tokens in ordered(modalities)]
        fused = jnp.concatenate([masked_mean(t.values, t.mask) for t in tokens], axis=-1)
        present = jnp.any(jnp.stack([t.present() for t in tokens]), axis=0)
        return Tokens(fused[:, None, :], present[:, None])
