"""Transformer, Vaswani et al. 2017, arXiv:1706.03762, norms first: Xiong 2020, arXiv:2002.04745."""

from flax import linen as nn
from jax import Array
from jax import numpy as jnp
from jaxtyping import Bool, Float

from mmjax.layers.attention import MultiHeadAttention
from mmjax.layers.mlp import Mlp


class Attend(nn.Module):
    """x + attention(norm(x), norm(context)); the context is x itself unless given.

    Where the context has no token at all, x stays as it is.
    """

    dim: int  # width of x
    heads: int = 4  # must divide dim

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch query dim"],
        mask: Bool[Array, "batch key"],  # of the context
        context: Float[Array, "batch key width"] | None = None,
    ) -> Float[Array, "batch query dim"]:
        normed = nn.LayerNorm(name="norm")(x)
        source = normed if context is None else nn.LayerNorm(name="context_norm")(context)
        look = jnp.broadcast_to(mask[:, None, :], (x.shape[0], x.shape[1], mask.shape[1]))
        return x + MultiHeadAttention(self.dim, self.heads, name="attention")(normed, source, look)


class FeedForward(nn.Module):
    """x + mlp(norm(x)), hidden width 2 * dim."""

    dim: int  # width of x
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token dim"], *, train: bool
    ) -> Float[Array, "batch token dim"]:
        mlp = Mlp(hidden=(2 * self.dim,), dim=self.dim, dropout=self.dropout, name="mlp")
        return x + mlp(nn.LayerNorm(name="norm")(x), train=train)


class Block(nn.Module):
    """x = Attend(x, context); x = FeedForward(x)."""

    dim: int  # width of x
    heads: int = 4  # must divide dim
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch query dim"],
        mask: Bool[Array, "batch key"],  # of the context
        context: Float[Array, "batch key width"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch query dim"]:
        x = Attend(self.dim, self.heads, name="attend")(x, mask, context)
        return FeedForward(self.dim, self.dropout, name="feed_forward")(x, train=train)
