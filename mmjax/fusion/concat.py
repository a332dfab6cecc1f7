"""Concatenation, Ngiam et al. 2011, Multimodal Deep Learning (ICML)."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.tokens.modalities import one_token, pooled
from mmjax.types import Tokens


@final
class Concat(nn.Module):
    """z = [z_1; ...; z_M], z_m the mean of a modality's tokens, zeros where it is missing."""

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token as wide as all modalities together."""
        del train
        vectors = pooled(modalities).values()
        fused = jnp.concatenate([vector.value for vector in vectors], axis=-1)
        return one_token(fused, modalities)
