"""Masked multi-head attention, Vaswani et al. 2017, arXiv:1706.03762."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float


def attend(
    query: Float[Array, "batch query head dim"],
    key: Float[Array, "batch key head dim"],
    value: Float[Array, "batch key head dim"],
    mask: Bool[Array, "batch query key"],
) -> Float[Array, "batch query head dim"]:
    """softmax(query . key / sqrt(dim)) . value over the keys that are visible to a query.

    A query without any visible key gets zeros. (A softmax over masked keys alone is uniform and
    would return the mean of the padding.) Masked keys and values must be finite.
    """
    scores = jnp.einsum("bqhd,bkhd->bhqk", query * query.shape[-1] ** -0.5, key)
    scores = jnp.where(mask[:, None], scores, jnp.full_like(scores, jnp.finfo(scores.dtype).min))
    # In the type of the query, as in linen: in bfloat16 scores and weights have 8 significant bits.
    weights = jax.nn.softmax(scores, axis=-1)
    # On the weights, not on the result: a TPU would change the layout of the result for it.
    weights = jnp.where(jnp.any(mask, axis=-1)[:, None, :, None], weights, jnp.zeros_like(weights))
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value)


def by_head(heads: int, width: int, name: str) -> tuple[int, int]:
    """(heads, width / heads); ValueError, which calls the width `name`, for an uneven division."""
    if heads < 1 or width % heads:
        divisors = [n for n in range(1, width + 1) if width % n == 0]
        raise ValueError(f"heads={heads} must divide {name}={width}; choose from {divisors}")
    return heads, width // heads


class MultiHeadAttention(nn.Module):
    """out(concat_h attend(q_h(queries), k_h(context), v_h(context)))."""

    dim: int  # width of the result, shared by the heads
    heads: int = 4  # must divide dim

    @nn.compact
    def __call__(
        self,
        queries: Float[Array, "batch query width"],
        context: Float[Array, "batch key other_width"],
        mask: Bool[Array, "batch query key"],
    ) -> Float[Array, "batch query dim"]:
        """Raises ValueError where the heads do not divide `dim`."""
        shape = by_head(self.heads, self.dim, "dim")
        # No key bias: it shifts all logits of a query alike, so its gradient would be zero.
        query = nn.DenseGeneral(shape, name="query")(queries)
        key = nn.DenseGeneral(shape, name="key", use_bias=False)(context)
        value = nn.DenseGeneral(shape, name="value")(context)
        attended = attend(query, key, value, mask)
        # No output bias: a query without visible keys must stay exactly zero.
        return nn.DenseGeneral(self.dim, axis=(-2, -1), name="out", use_bias=False)(attended)
