"""Masked multi-head attention, Vaswani et al. 2017, arXiv:1706.03762."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tracing.vendor import use_cudnn


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
    attended = jax.nn.dot_product_attention(
        query, key, value, mask=mask[:, None], implementation=_implementation(query, key)
    )
    return jnp.where(jnp.any(mask, axis=-1)[:, :, None, None], attended, jnp.zeros_like(attended))


def _implementation(query: Array, key: Array) -> Literal["xla", "cudnn"]:
    """cuDNN's flash attention (Dao 2023, arXiv:2307.08691) where it supports the arrays.

    JAX's call requires half precision, heads of 8, 16 ... 128 numbers, and even lengths, since it
    passes the mask as a bias. NEVER RUN ON A GPU.
    """
    half = query.dtype in (jnp.bfloat16, jnp.float16)
    heads = query.shape[-1] % 8 == 0 and query.shape[-1] <= 128
    even = query.shape[1] % 2 == 0 and key.shape[1] % 2 == 0 and 0 not in query.shape + key.shape
    return "cudnn" if use_cudnn() and half and heads and even else "xla"


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
