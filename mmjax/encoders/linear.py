"""Linear encoder of precomputed features: the patch embedding of ViT, arXiv:2010.11929."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.masking import clear
from mmjax.types import AnyArray, Tokens


@final
class Linear(nn.Module):
    """Features: token = W x + b, each token by itself.

    For whatever comes as rows of numbers: frames of sound or touch, points, one row of a table.
    """

    dim: int = 64  # width of a token

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch token feature"],
        mask: Bool[AnyArray, "batch token"],
        *,
        train: bool,
    ) -> Tokens:
        """Returns one token for each that is given."""
        del train
        mask = jnp.asarray(mask)
        tokens = nn.Dense(self.dim, name="projection")(clear(values, mask))
        return Tokens(clear(tokens, mask), mask)
