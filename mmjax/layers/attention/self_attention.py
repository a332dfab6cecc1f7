"""Transformer block of BERT, GPT-2 and ViT, with the parameters of published weights.

Vaswani et al. 2017, arXiv:1706.03762; Devlin et al. 2019, arXiv:1810.04805; Radford et al. 2019.
"""

from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.attention.attention import attend, by_head
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_share
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tracing.rematerialisation import block

_INIT = nn.initializers.xavier_uniform()


class SelfAttentionBlock(nn.Module):
    """x = x + out(attend(norm(x))); x = x + W gelu(V norm(x)), hidden width 4 times that of x.

    With `norm="last"`: x = norm(x + out(attend(x))); x = norm(x + W gelu(V x)). Masked tokens are
    no keys; their own results are finite and have no meaning.
    """

    heads: int  # must divide the width of x
    dropout: float = 0.0  # share of a sublayer's result dropped in training
    epsilon: float = 1e-6  # of the norms
    norm: Literal["first", "last"] = "first"
    causal: bool = False  # a token attends to itself and earlier tokens
    gelu: Literal["exact", "tanh"] = "exact"

    @nn.compact
    @block
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"], train: bool
    ) -> Float[Array, "batch token width"]:
        """Raises ValueError where the heads do not divide the width, or dropout is out of 0..1."""
        require_share(self, "dropout")
        attention_norm = layer_norm("attention_norm", self.epsilon)
        mlp_norm = layer_norm("mlp_norm", self.epsilon)
        dropped = Dropout(self.dropout)
        if self.norm == "first":
            x = x + dropped(self._attention(attention_norm(x), mask), train)
            return x + dropped(self._mlp(mlp_norm(x)), train)
        x = attention_norm(x + dropped(self._attention(x, mask), train))
        return mlp_norm(x + dropped(self._mlp(x), train))

    def _attention(self, x: Array, mask: Array) -> Array:
        batch, token, width = x.shape
        by_head(self.heads, width, "width")
        # No key bias: it shifts all logits of a query alike, so its gradient would be zero.
        query, key, value = (
            ToHeads(self.heads, use_bias=name != "key", name=name)(x)
            for name in ("query", "key", "value")
        )
        visible = jnp.broadcast_to(mask[:, None, :], (batch, token, token))
        if self.causal:
            visible = visible & jnp.tri(token, dtype=bool)[None]
        return FromHeads(name="out")(attend(query, key, value, visible))

    def _mlp(self, x: Array) -> Array:
        hidden = _dense(4 * x.shape[-1], "hidden")(x)
        return _dense(x.shape[-1], "mlp")(nn.gelu(hidden, approximate=self.gelu == "tanh"))


class ToHeads(nn.Module):
    """x W + b, divided over heads.

    W is reshaped, not the result: a TPU would change the layout of the result, and again in the
    gradient: 6.9 instead of 6.1 M cycles for two layers of BERT-base on a v5e chip, by its
    compiler's estimate (experiments/benchmarks/README.md).
    """

    heads: int  # must divide the width of x
    use_bias: bool = True

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"]
    ) -> Float[Array, "batch token head dim"]:
        width = x.shape[-1]
        kernel = jnp.asarray(self.param("kernel", _INIT, (width, width)))
        y = jnp.einsum("btw,whd->bthd", x, jnp.reshape(kernel, (width, self.heads, -1)))
        if not self.use_bias:
            return y
        bias = jnp.asarray(self.param("bias", nn.initializers.zeros, (width,)))
        return y + jnp.reshape(bias, (1, 1, self.heads, -1))


class FromHeads(nn.Module):
    """[x_1 ... x_H] W + b, the heads side by side."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token head dim"]
    ) -> Float[Array, "batch token width"]:
        heads, dim = x.shape[2:]
        width = heads * dim
        kernel = jnp.asarray(self.param("kernel", _INIT, (width, width)))
        bias = jnp.asarray(self.param("bias", nn.initializers.zeros, (width,)))
        y = jnp.einsum("bthd,hdw->btw", x, jnp.reshape(kernel, (heads, dim, width)))
        return y + jnp.reshape(bias, (1, 1, width))


def _dense(features: int, name: str) -> nn.Dense:
    return nn.Dense(features, kernel_init=_INIT, name=name)
