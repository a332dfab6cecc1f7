"""A learned token in the place of a missing modality (mask token, He 2022, arXiv:2111.06377)."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.tokens.masking import stand_in
from mmjax.layers.tokens.modalities import ordered
from mmjax.types import Tokens


@final
class Learned(nn.Module):
    """z_m = one learned token s_m where modality m is missing."""

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> dict[str, Tokens]:
        """Returns tokens; every example has at least one of every modality."""
        del train
        filled = {}
        for name, tokens in ordered(modalities):
            shape = tokens.values.shape[-1:]
            learned = self.param(f"stand_in_{name}", nn.initializers.normal(0.02), shape)
            token = jnp.broadcast_to(
                learned.astype(tokens.values.dtype), (tokens.mask.shape[0], *shape)
            )
            filled[name] = stand_in(tokens, token, jnp.ones(tokens.mask.shape[0], bool))
        return filled
