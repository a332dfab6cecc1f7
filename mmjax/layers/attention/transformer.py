"""Transformer, Vaswani et al. 2017, arXiv:1706.03762, norms first: Xiong 2020, arXiv:2002.04745."""

from flax import linen as nn
from jax import Array
from jax import numpy as jnp
from jaxtyping import Bool, Float

from mmjax.layers.attention.attention import MultiHeadAttention
from mmjax.layers.mlp import Mlp
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tracing.rematerialisation import block


class Attend(nn.Module):
    """x + attention(norm(x), [norm(context); nothing]); without a context it is x itself.

    The learned token `nothing` is always visible: a token whose context is empty gets a learned
    answer, and a context of one token still leaves a choice, so that queries and keys learn.
    """

    dim: int  # width of x
    heads: int = 4  # must divide dim

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch query dim"],
        visible: Bool[Array, "batch #query key"],  # the context's keys that each query may read
        context: Float[Array, "batch key width"] | None = None,
    ) -> Float[Array, "batch query dim"]:
        normed = layer_norm("norm")(x)
        source = normed if context is None else layer_norm("context_norm")(context)
        nothing = self.param("nothing", nn.initializers.normal(0.02), source.shape[-1:])
        nothing = jnp.broadcast_to(nothing.astype(x.dtype), (x.shape[0], 1, source.shape[-1]))
        source = jnp.concatenate([source, nothing], axis=1)
        visible = jnp.broadcast_to(visible, (*x.shape[:2], visible.shape[2]))
        visible = jnp.pad(visible, ((0, 0), (0, 0), (0, 1)), constant_values=True)
        attention = MultiHeadAttention(self.dim, self.heads, name="attention")
        return x + attention(normed, source, visible)


class FeedForward(nn.Module):
    """x + mlp(norm(x)), hidden width 2 * dim."""

    dim: int  # width of x
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token dim"], train: bool
    ) -> Float[Array, "batch token dim"]:
        mlp = Mlp(hidden=(2 * self.dim,), dim=self.dim, dropout=self.dropout, name="mlp")
        return x + mlp(layer_norm("norm")(x), train=train)


class Block(nn.Module):
    """x = Attend(x, context); x = FeedForward(x)."""

    dim: int  # width of x
    heads: int = 4  # must divide dim
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    @block
    def __call__(
        self,
        x: Float[Array, "batch query dim"],
        visible: Bool[Array, "batch #query key"],  # the context's keys that each query may read
        train: bool,
        context: Float[Array, "batch key width"] | None = None,
    ) -> Float[Array, "batch query dim"]:
        x = Attend(self.dim, self.heads, name="attend")(x, visible, context)
        return FeedForward(self.dim, self.dropout, name="feed_forward")(x, train)
