"""Tensor fusion, Zadeh et al. 2017, arXiv:1707.07250."""

import math
from collections.abc import Mapping, Sequence
from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Projections, one_token, pooled
from mmjax.types import Tokens

LIMIT = 2**16  # most products per example


def with_one(vector: Float[Array, "batch dim"]) -> Float[Array, "batch dim_and_one"]:
    """[z; 1]: products with the 1 give the terms of lower order."""
    return jnp.concatenate([vector, jnp.ones_like(vector[:, :1])], axis=-1)


def outer(vectors: Sequence[Float[Array, "batch _"]]) -> Float[Array, "batch product"]:
    """The outer product of all [z_m; 1], flattened."""
    fused = jnp.ones_like(vectors[0][:, :1])
    for vector in vectors:
        fused = jnp.einsum("bi,bj->bij", fused, with_one(vector)).reshape(vector.shape[0], -1)
    return fused


@final
class Tensor(nn.Module):
    """z = W vec([x_1; 1] (x) ... (x) [x_M; 1]);  x_m = W_m z_m.

    A missing modality is [0; 1]: products with its values are zero, the others stay.
    """

    inner: int | None = 8  # width of x_m; None: no W_m, x_m = z_m at the encoders' widths
    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token. Raises ValueError for more than 65,536 products per example."""
        del train
        require_at_least(self, 1, "dim")
        vectors = pooled(modalities)
        if self.inner is not None:
            vectors = Projections(self.inner, name="projection")(vectors)
        widths = {name: vector.value.shape[-1] for name, vector in vectors.items()}
        products = math.prod(width + 1 for width in widths.values())
        if products > LIMIT:
            fits = int(LIMIT ** (1 / len(widths))) - 1
            lower = f"lower --model.fusion.inner to at most {fits}, or " if fits else ""
            raise ValueError(
                f"tensor: the widths {widths} make {products:,} products, more than {LIMIT:,}; "
                f"{lower}take low_rank, which makes none of them"
            )
        fused = outer([vector.value for vector in vectors.values()])
        # No bias: the product of the ones is the constant.
        return one_token(nn.Dense(self.dim, use_bias=False, name="out")(fused), modalities)
