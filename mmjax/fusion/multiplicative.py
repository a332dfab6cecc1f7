"""Multiplicative interactions, Jayakumar et al. 2020 (ICLR), openreview.net/forum?id=rylnK6VtDH."""

import itertools
from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.modalities import Projections, one_token, pooled
from mmjax.types import Tokens


@final
class Multiplicative(nn.Module):
    """z = sum_{m<n} z_m' W_mn z_n + sum_m U_m z_m + b, W_mn a tensor [dim_m, dim_n, dim].

    The paper's f(x, z) for two modalities, every pair of them for more. A missing one is zeros.
    """

    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], *, train: bool) -> Tokens:
        """Returns one token."""
        del train
        vectors = pooled(modalities)
        linear = Projections(self.dim, name="projection")(vectors)
        fused = jnp.sum(jnp.stack([vector.value for vector in linear.values()]), axis=0)
        init = nn.initializers.variance_scaling(1.0, "fan_in", "normal", (0, 1), 2)
        for first, second in itertools.combinations(vectors, 2):
            x, y = vectors[first].value, vectors[second].value
            shape = (x.shape[-1], y.shape[-1], self.dim)
            weight = self.param(f"kernel_{first}_{second}", init, shape).astype(x.dtype)
            fused = fused + jnp.einsum("bi,ijd,bj->bd", x, weight, y)
        bias = self.param("bias", nn.initializers.zeros, (self.dim,)).astype(fused.dtype)
        return one_token(fused + bias[None], modalities)
