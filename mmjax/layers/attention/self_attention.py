"""Blocks of the published transformers: GPT-2 and ViT norm first, BERT norms last.

Vaswani et al. 2017, arXiv:1706.03762; Devlin et al. 2019, arXiv:1810.04805; Radford et al. 2019.
"""

from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.attention.attention import attend
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_share
from mmjax.layers.tracing.rematerialisation import block

_KERNEL = nn.initializers.xavier_uniform()


class SelfAttentionBlock(nn.Module):
    """x = x + out(attend(norm(x))); x = x + W gelu(V norm(x)), hidden width 4 times that of x.

    With `norm="last"`: x = norm(x + out(attend(x))); x = norm(x + W gelu(V x)). What stands under
    the mask is nobody's key; queries there give values that mean nothing.
    """

    heads: int  # must divide the width of x
    dropout: float = 0.0  # share of what a sublayer adds dropped in training
    epsilon: float = 1e-6  # of the norms
    norm: Literal["first", "last"] = "first"
    causal: bool = False  # a token sees itself and the ones before it
    gelu: Literal["exact", "tanh"] = "exact"

    @nn.compact
    @block
    def __call__(
        self,
        x: Float[Array, "batch token width"],
        mask: Bool[Array, "batch token"],
        train: bool,
    ) -> Float[Array, "batch token width"]:
        """Raises ValueError where the heads do not divide the width, or dropout is out of 0..1."""
        require_share(self, "dropout")
        width = x.shape[-1]
        if self.heads < 1 or width % self.heads:
            raise ValueError(
                f"heads={self.heads} must divide width={width}; "
                f"choose from {[n for n in range(1, width + 1) if width % n == 0]}"
            )
        if self.norm == "first":
            x = x + self._attention(self._norm("attention_norm")(x), mask, train)
            return x + self._mlp(self._norm("mlp_norm")(x), train)
        x = self._norm("attention_norm")(x + self._attention(x, mask, train))
        return self._norm("mlp_norm")(x + self._mlp(x, train))

    def _attention(self, x: Array, mask: Array, train: bool) -> Array:
        batch, token, width = x.shape
        by_head = (batch, token, self.heads, width // self.heads)
        # No key bias: it shifts all logits of a query alike, so its gradient would be zero.
        query, key, value = (
            jnp.reshape(self._dense(width, name, name != "key")(x), by_head)
            for name in ("query", "key", "value")
        )
        look = jnp.broadcast_to(mask[:, None, :], (batch, token, token))
        if self.causal:
            look = look & jnp.tri(token, dtype=bool)[None]
        y = jnp.reshape(attend(query, key, value, look), x.shape)
        return self._dropped(self._dense(width, "out")(y), train)

    def _mlp(self, x: Array, train: bool) -> Array:
        hidden = self._dense(4 * x.shape[-1], "hidden")(x)
        y = nn.gelu(hidden, approximate=self.gelu == "tanh")
        return self._dropped(self._dense(x.shape[-1], "mlp")(y), train)

    def _dense(self, features: int, name: str, use_bias: bool = True) -> nn.Dense:
        return nn.Dense(features, use_bias=use_bias, kernel_init=_KERNEL, name=name)

    def _norm(self, name: str) -> nn.LayerNorm:
        return nn.LayerNorm(self.epsilon, use_fast_variance=False, name=name)

    def _dropped(self, x: Array, train: bool) -> Array:
        return Dropout(self.dropout)(x, train=train)
