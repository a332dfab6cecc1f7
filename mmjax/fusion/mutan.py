"""MUTAN: bilinear fusion by a Tucker decomposition, Ben-younes et al. 2017, arXiv:1705.06676."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.masking import masked_product
from mmjax.layers.tokens.modalities import one_token, pooled
from mmjax.types import Tokens


@final
class Mutan(nn.Module):
    """z = sum_r prod_m (M_mr x_m + b_mr);  x_m = tanh(W_m z_m + c_m): a core tensor of low rank.

    A missing modality is left out of the products.
    """

    inner: int = 64  # width of x_m
    rank: int = 5  # terms of the sum
    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        del train
        require_at_least(self, 1, "inner", "rank", "dim")
        vectors = pooled(modalities)
        factors = []
        for name, vector in vectors.items():
            x = nn.tanh(nn.Dense(self.inner, name=f"projection_{name}")(vector.value))
            factors.append(nn.DenseGeneral((self.rank, self.dim), name=f"core_{name}")(x))
        product = masked_product(factors, [vector.present for vector in vectors.values()])
        return one_token(jnp.sum(product, axis=1), modalities)
