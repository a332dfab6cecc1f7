"""Masked multi-head attention, Vaswani et al. 2017, arXiv:1706.03762."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

Projected = tuple[Array, Array]  # keys and values [batch, key, head, dim]
Cached = tuple[Array, Array]  # keys and values [batch, key, width], the heads side by side

_INIT = nn.initializers.xavier_uniform()
_SEEN: contextvars.ContextVar[list[Array] | None] = contextvars.ContextVar("seen", default=None)


@contextlib.contextmanager
def weights_seen() -> Iterator[list[Array]]:
    """The weights `[batch, head, query, key]` of every `attend` that is traced within, in order."""
    token = _SEEN.set(found := [])
    try:
        yield found
    finally:
        _SEEN.reset(token)


def attend(
    query: Float[Array, "batch query head dim"],
    key: Float[Array, "batch key head dim"],
    value: Float[Array, "batch key head dim"],
    mask: Bool[Array, "batch #query key"],
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
    if (found := _SEEN.get()) is not None:
        found.append(weights)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value)


def attend_cached(
    query: Float[Array, "batch query head dim"],
    key: Float[Array, "batch key width"],
    value: Float[Array, "batch key width"],
    mask: Bool[Array, "batch #query key"],
) -> Float[Array, "batch query head dim"]:
    """`attend` to keys and values that are stored with the heads side by side.

    One query reads them as they are stored: each head's query is a column with zeros at the places
    of the others. That is `head` times the products, and yet GPT-2 small needs 1.7 instead of 5.1 M
    cycles for a word of 32 texts on a v5e chip, by its compiler's estimate
    (experiments/benchmarks/README.md): it would change the layout of the whole cache otherwise.
    """
    batch, queries, heads, dim = query.shape
    if queries != 1:
        shape = (batch, -1, heads, dim)
        return attend(query, jnp.reshape(key, shape), jnp.reshape(value, shape), mask)
    own = jnp.eye(heads, dtype=query.dtype)
    columns = jnp.einsum("bhd,hg->bhdg", query[:, 0] * dim**-0.5, own)
    scores = jnp.einsum("bkw,bwg->bgk", key, jnp.reshape(columns, (batch, heads * dim, heads)))
    scores = jnp.where(mask, scores, jnp.full_like(scores, jnp.finfo(scores.dtype).min))
    weights = jax.nn.softmax(scores, axis=-1)
    weights = jnp.where(jnp.any(mask, axis=-1)[:, :, None], weights, jnp.zeros_like(weights))
    read = jnp.reshape(jnp.einsum("bgk,bkw->bgw", weights, value), (batch, heads, heads, dim))
    return jnp.einsum("bghd,gh->bhd", read, own)[:, None]


def require_heads(heads: int, dim: int) -> None:
    """ValueError where `heads` does not divide the width `dim`."""
    if heads < 1 or dim % heads:
        divisors = [n for n in range(1, dim + 1) if dim % n == 0]
        raise ValueError(f"heads={heads} must divide dim={dim}; choose from {divisors}")


class ToHeads(nn.Module):
    """x W + b, divided over heads.

    W is reshaped, not the result: a TPU would change the layout of the result, and again in the
    gradient: 6.9 instead of 6.1 M cycles for two layers of BERT-base on a v5e chip, by its
    compiler's estimate (experiments/benchmarks/README.md).
    """

    dim: int  # width of all heads together
    heads: int  # must divide dim
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "batch token width"]) -> Float[Array, "batch token head d"]:
        shape = (x.shape[-1], self.dim)
        kernel = jnp.asarray(self.param("kernel", _INIT, shape))
        y = jnp.einsum("btw,whd->bthd", x, jnp.reshape(kernel, (x.shape[-1], self.heads, -1)))
        if not self.use_bias:
            return y
        bias = jnp.asarray(self.param("bias", nn.initializers.zeros, shape[1:]))
        return y + jnp.reshape(bias, (1, 1, self.heads, -1))


class FromHeads(nn.Module):
    """[x_1 ... x_H] W + b, the heads side by side."""

    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "batch token head d"]) -> Float[Array, "batch token dim"]:
        dim = x.shape[2] * x.shape[3]
        kernel = jnp.asarray(self.param("kernel", _INIT, (dim, dim)))
        y = jnp.einsum("bthd,hdw->btw", x, jnp.reshape(kernel, (*x.shape[2:], dim)))
        if not self.use_bias:
            return y
        bias = jnp.asarray(self.param("bias", nn.initializers.zeros, (dim,)))
        return y + jnp.reshape(bias, (1, 1, dim))


class MultiHeadAttention(nn.Module):
    """out(concat_h attend(q_h(queries), k_h(context), v_h(context)))."""

    dim: int  # width of the result, shared by the heads
    heads: int = 4  # must divide dim

    @nn.compact
    def __call__(
        self,
        queries: Float[Array, "batch query width"],
        context: Float[Array, "batch key other_width"],
        mask: Bool[Array, "batch #query key"],
    ) -> Float[Array, "batch query dim"]:
        """Raises ValueError where the heads do not divide `dim`."""
        return multi_head("", queries, context, mask, self.dim, self.heads)


def multi_head(
    prefix: str,
    queries: Array,
    context: Array,
    mask: Array,
    dim: int,
    heads: int,
    out_bias: bool = False,
    keep: Callable[[Callable[[], Projected]], Cached] | None = None,
) -> Array:
    """`MultiHeadAttention` whose parameters belong to the calling module: `<prefix>query` ...

    `keep(project)` returns the keys and values, where some of them are cached; `project()` returns
    those of the context.
    """
    require_heads(heads, dim)
    query = ToHeads(dim, heads, name=f"{prefix}query")(queries)

    def project() -> Projected:
        # No key bias: it shifts all logits of a query alike, so its gradient would be zero.
        key = ToHeads(dim, heads, use_bias=False, name=f"{prefix}key")(context)
        return key, ToHeads(dim, heads, name=f"{prefix}value")(context)

    if keep is None:
        read = attend(query, *project(), mask)
    else:
        read = attend_cached(query, *keep(project), mask)
    # Without an output bias a query without visible keys stays exactly zero.
    return FromHeads(out_bias, name=f"{prefix}out")(read)
