"""Transformer over patches of a time series, PatchTST, Nie et al. 2023, arXiv:2211.14730."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.attention.patch_transformer import PatchBlocks
from mmjax.layers.tokens.intervals import with_intervals
from mmjax.types import AnyArray, Tokens


@final
class PatchTransformer(nn.Module):
    """Series: transformer blocks over tokens of `patch` consecutive steps with all their channels.

    The paper reads each channel separately; here they are mixed, as they describe one object.
    """

    patch: int = 4  # steps in a token
    dim: int = 64  # width of a token
    layers: int = 2  # blocks
    heads: int = 4  # must divide dim
    dropout: float = 0.0  # share of embeddings and of sublayers' results dropped in training
    time: int | None = None  # the channel of irregular time stamps

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch step feature"],
        mask: Bool[AnyArray, "batch step"],
        train: bool,
    ) -> Tokens:
        """Returns one token for each `patch` steps."""
        mask = jnp.asarray(mask)
        x = with_intervals(jnp.asarray(values), mask, self.time)
        blocks = PatchBlocks(
            self.patch, self.dim, self.layers, self.heads, self.dropout, name="blocks"
        )
        return blocks(x, mask, train=train)
