"""Multiplicative interactions, Jayakumar et al. 2020 (ICLR), openreview.net/forum?id=rylnK6VtDH."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Projections, one_token, pooled
from mmjax.types import Tokens


@final
class Multiplicative(nn.Module):
    """h_1 = U_1 z_1 + b;  h_m = h_{m-1} + U_m z_m + h_{m-1}' W_m z_m;  z = h_M.

    W_m is a tensor [dim, dim_m, dim]. For two modalities this is the paper's x' W z + U z + V x + b
    with x = h_1; more modalities give products of any number of them. A missing modality (zeros)
    leaves h unchanged.
    """

    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        del train
        require_at_least(self, 1, "dim")
        vectors = pooled(modalities)
        linear = Projections(self.dim, name="projection")(vectors)
        init = nn.initializers.variance_scaling(1.0, "fan_in", "normal", (0, 1), 2)
        first, *others = vectors
        h = linear[first].value
        h = h + self.param("bias", nn.initializers.zeros, (self.dim,)).astype(h.dtype)[None]
        for name in others:
            z = vectors[name].value
            shape = (self.dim, z.shape[-1], self.dim)
            weight = self.param(f"kernel_{name}", init, shape).astype(h.dtype)
            h = h + linear[name].value + jnp.einsum("bi,ijd,bj->bd", h, weight, z)
        return one_token(h, modalities)
