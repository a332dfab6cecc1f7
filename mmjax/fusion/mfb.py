"""Multimodal factorised bilinear pooling (MFB), Yu et al. 2017, arXiv:1708.01471."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_share
from mmjax.layers.normalisation import l2_normalised, signed_sqrt
from mmjax.layers.tokens.masking import masked_product
from mmjax.layers.tokens.modalities import one_token, pooled
from mmjax.types import Tokens


@final
class Mfb(nn.Module):
    """z = normalise(signed_sqrt(sums of `factors` numbers each of prod_m (U_m z_m + b_m))).

    A missing modality is left out of the product.
    """

    factors: int = 5  # numbers of the product that are summed into one
    dim: int = 64  # width of the fused vector
    dropout: float = 0.0  # share of the product's numbers dropped in training (the paper: 0.1)

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        require_at_least(self, 1, "factors", "dim")
        require_share(self, "dropout")
        vectors = pooled(modalities)
        factors = [
            nn.DenseGeneral((self.dim, self.factors), name=f"projection_{name}")(vector.value)
            for name, vector in vectors.items()
        ]
        product = masked_product(factors, [vector.present for vector in vectors.values()])
        product = Dropout(self.dropout)(product, train=train)
        return one_token(l2_normalised(signed_sqrt(jnp.sum(product, axis=-1))), modalities)
