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
        shape = (batch, token, *by_head(self.heads, width, "width"))
        # No key bias: it shifts all logits of a query alike, so its gradient would be zero.
        query, key, value = (
            jnp.reshape(_dense(width, name, use_bias=name != "key")(x), shape)
            for name in ("query", "key", "value")
        )
        visible = jnp.broadcast_to(mask[:, None, :], (batch, token, token))
        if self.causal:
            visible = visible & jnp.tri(token, dtype=bool)[None]
        y = jnp.reshape(attend(query, key, value, visible), x.shape)
        return _dense(width, "out")(y)

    def _mlp(self, x: Array) -> Array:
        hidden = _dense(4 * x.shape[-1], "hidden")(x)
        return _dense(x.shape[-1], "mlp")(nn.gelu(hidden, approximate=self.gelu == "tanh"))


def _dense(features: int, name: str, use_bias: bool = True) -> nn.Dense:
    init = nn.initializers.xavier_uniform()
    return nn.Dense(features, use_bias=use_bias, kernel_init=init, name=name)
