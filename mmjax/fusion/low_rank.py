"""Low-rank tensor fusion, Liu et al. 2018, arXiv:1806.00064."""

import math
from collections.abc import Mapping, Sequence
from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import one_token, pooled
from mmjax.types import Tokens


def low_rank(
    vectors: Sequence[Float[Array, "batch _"]], factors: Sequence[Float[Array, "rank _ dim"]]
) -> Float[Array, "batch dim"]:
    """sum_r prod_m F_m[r]' [z_m; 1]: tensor fusion whose weight is sum_r F_1[r] (x) ... (x) F_M[r].

    A factor's last row multiplies the 1. The outer product is never computed.
    """
    terms = [
        jnp.einsum("bi,rid->brd", vector, factor[:, :-1]) + factor[None, :, -1]
        for vector, factor in zip(vectors, factors, strict=True)
    ]
    return jnp.sum(math.prod(terms), axis=1)


@final
class LowRank(nn.Module):
    """z = sum_r prod_m F_m[r]' [z_m; 1]. A missing modality, [0; 1], gives a constant."""

    rank: int = 4  # terms of the sum
    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        del train
        require_at_least(self, 1, "rank", "dim")
        vectors, factors = [], []
        init = nn.initializers.variance_scaling(1.0, "fan_in", "normal", 1, 2, batch_axis=0)
        for name, (value, _) in pooled(modalities).items():
            shape = (self.rank, value.shape[-1] + 1, self.dim)
            vectors.append(value)
            factors.append(self.param(f"factor_{name}", init, shape).astype(value.dtype))
        return one_token(low_rank(vectors, factors), modalities)
