"""Maximum of the modalities' vectors (view pooling, Su et al. 2015, arXiv:1505.00880)."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.tokens.modalities import Projections, one_token, pooled
from mmjax.layers.tokens.pooling import masked_max
from mmjax.types import Tokens


@final
class Max(nn.Module):
    """z = max_m W_m z_m, elementwise over the present modalities."""

    dim: int | None = None  # width of W_m's result; None: no W_m, and all widths must be equal

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token. Raises ValueError if `dim` is None and the widths differ."""
        del train
        vectors = Projections(self.dim, name="projection")(pooled(modalities))
        values = jnp.stack([vector.value for vector in vectors.values()], axis=1)
        visible = jnp.stack([vector.present for vector in vectors.values()], axis=1)
        return one_token(masked_max(values, visible), modalities)
