"""Multimodal low-rank bilinear pooling (MLB), Kim et al. 2017, arXiv:1610.04325."""

from collections.abc import Mapping
from typing import final

from flax import linen as nn

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.masking import masked_product
from mmjax.layers.tokens.modalities import one_token, pooled
from mmjax.types import Tokens


@final
class Mlb(nn.Module):
    """z = P prod_m tanh(U_m z_m + b_m); a missing modality is left out of the product."""

    rank: int = 128  # width of the product
    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        del train
        require_at_least(self, 1, "rank", "dim")
        vectors = pooled(modalities)
        factors = [
            nn.tanh(nn.Dense(self.rank, name=f"projection_{name}")(vector.value))
            for name, vector in vectors.items()
        ]
        product = masked_product(factors, [vector.present for vector in vectors.values()])
        return one_token(nn.Dense(self.dim, name="out")(product), modalities)
