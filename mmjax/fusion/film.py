"""Feature-wise linear modulation (FiLM), Perez et al. 2018, arXiv:1709.07871."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.modalities import Projections, one_token, pooled
from mmjax.types import Tokens


def film(
    x: Float[Array, "batch dim"], scale: Float[Array, "batch dim"], shift: Float[Array, "batch dim"]
) -> Float[Array, "batch dim"]:
    """(1 + scale) x + shift: the identity where scale and shift are zero."""
    return (1.0 + scale) * x + shift


@final
class Film(nn.Module):
    """z = sum_m film(x_m, G_m o_m, B_m o_m);  x_m = W_m z_m, o_m all the other modalities' x.

    Each modality is modulated by all others, so none has to be chosen as the condition. There are
    no biases: if the others are missing (zeros), x_m is unchanged.
    """

    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        del train
        require_at_least(self, 1, "dim")
        vectors = Projections(self.dim, name="projection")(pooled(modalities))
        fused = []
        for name, (x, present) in vectors.items():
            others = [vector.value for other, vector in vectors.items() if other != name]
            if others:
                condition = jnp.concatenate(others, axis=-1)
                scale = nn.Dense(self.dim, use_bias=False, name=f"scale_{name}")(condition)
                shift = nn.Dense(self.dim, use_bias=False, name=f"shift_{name}")(condition)
                x = film(x, scale, shift)
            fused.append(clear(x, present))
        return one_token(jnp.sum(jnp.stack(fused), axis=0), modalities)
