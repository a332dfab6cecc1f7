"""The transformer block of encoders, fusions and decoders.

Vaswani et al. 2017, arXiv:1706.03762; norms first: Xiong et al. 2020, arXiv:2002.04745.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float, Int

from mmjax.layers.attention.attention import Cached, Projected, multi_head
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_share
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tracing.rematerialisation import block

_INIT = nn.initializers.xavier_uniform()
_ACTIVATIONS = {
    "relu": nn.relu,
    "gelu": functools.partial(nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(nn.gelu, approximate=True),
}


class TransformerBlock(nn.Module):
    """x = x + attend(norm(x)); x = x + attend(norm(x), norm(context)); x = x + mlp(norm(x)).

    The first needs `visible`, the second a context. With `norm="last"`: x = norm(x + attend(x))
    and so on, and the context is not normalised. Masked tokens are no keys; their own results are
    finite and have no meaning.

    With `position`, x continues a sequence whose keys and values are in the collection `cache`,
    and so are those of the context after the first call:
    `block.apply(variables, x, visible, False, position=position, mutable=["cache"])`.
    """

    heads: int  # must divide the width of x
    dropout: float = 0.0  # share of a sublayer's result dropped in training
    epsilon: float = 1e-6  # of the norms
    norm: Literal["first", "last"] = "first"
    activation: Literal["relu", "gelu", "gelu_tanh"] = "gelu"
    expansion: int = 4  # hidden width of the mlp, in widths of x
    causal: bool = False  # a token attends to itself and earlier tokens
    nothing: bool = False  # a learned token, always visible; attention has no output bias then

    @nn.compact
    @block
    def __call__(
        self,
        x: Float[Array, "batch query width"],
        visible: Bool[Array, "batch #query key"] | None,  # tokens of x that each may read
        train: bool,
        context: Float[Array, "batch other other_width"] | None = None,
        context_visible: Bool[Array, "batch #query other"] | None = None,  # None: all
        position: Int[Array, ""] | None = None,  # of the first token of x; `key` counts all
    ) -> Float[Array, "batch query width"]:
        """Raises ValueError where the heads do not divide the width, or dropout is out of 0..1."""
        require_share(self, "dropout")
        dropped = Dropout(self.dropout)

        def sublayer(name: str, x: Array, compute: Callable[[Array], Array]) -> Array:
            norm = layer_norm(name, self.epsilon)
            if self.norm == "first":
                return x + dropped(compute(norm(x)), train)
            return norm(x + dropped(compute(x), train))

        if visible is not None:
            x = sublayer("attention_norm", x, lambda x: self._to_itself(x, visible, position))
        if context is not None:
            if self.norm == "first":
                context = layer_norm("context_norm", self.epsilon)(context)
            if context_visible is None:
                context_visible = jnp.ones((x.shape[0], 1, context.shape[1]), bool)
            keep = None if position is None else self._once
            x = sublayer(
                "cross_norm", x, lambda x: self._attend("cross_", x, context, context_visible, keep)
            )
        return sublayer("mlp_norm", x, self._mlp)

    def _to_itself(self, x: Array, visible: Array, position: Array | None) -> Array:
        if self.causal:
            first = jnp.zeros((), jnp.int32) if position is None else position
            query = first + jnp.arange(x.shape[1], dtype=jnp.int32)
            key = jnp.arange(visible.shape[2], dtype=jnp.int32)
            visible = visible & (key[None, None, :] <= query[None, :, None])
        if position is None:
            return self._attend("", x, x, visible)

        def kept(name: str, new: Array) -> Array:
            """All that is cached, with what is new at its place; at the end `nothing`."""
            new = jnp.reshape(new, (*new.shape[:2], new.shape[2] * new.shape[3]))
            new, nothing = new[:, : x.shape[1]], new[:, x.shape[1] :]
            shape = (x.shape[0], visible.shape[2] + nothing.shape[1], new.shape[2])
            cache = self.variable("cache", name, jnp.zeros, shape, new.dtype)
            found = jax.lax.dynamic_update_slice(cache.value, new, (0, position, 0))
            if self.nothing:
                found = jax.lax.dynamic_update_slice(found, nothing, (0, visible.shape[2], 0))
            cache.value = found
            return found

        def keep(project: Callable[[], Projected]) -> Cached:
            key, value = project()
            return kept("cached_key", key), kept("cached_value", value)

        return self._attend("", x, x, visible, keep)

    def _once(self, project: Callable[[], Projected]) -> Cached:
        """Keys and values of the context, computed in the first call."""
        if not self.has_variable("cache", "cross_key"):
            for name, x in zip(("cross_key", "cross_value"), project(), strict=True):
                flat = jnp.reshape(x, (*x.shape[:2], x.shape[2] * x.shape[3]))
                self.put_variable("cache", name, flat)
        return self.get_variable("cache", "cross_key"), self.get_variable("cache", "cross_value")

    def _attend(
        self,
        prefix: str,
        x: Array,
        source: Array,
        visible: Array,
        keep: Callable[[Callable[[], Projected]], Cached] | None = None,
    ) -> Array:
        if self.nothing:
            width = source.shape[-1]
            nothing = self.param(f"{prefix}nothing", nn.initializers.normal(0.02), (width,))
            nothing = jnp.broadcast_to(nothing.astype(x.dtype), (x.shape[0], 1, width))
            source = jnp.concatenate([source, nothing], axis=1)
            visible = jnp.pad(visible, ((0, 0), (0, 0), (0, 1)), constant_values=True)
        bias = not self.nothing
        return multi_head(prefix, x, source, visible, x.shape[-1], self.heads, bias, keep)

    def _mlp(self, x: Array) -> Array:
        width = x.shape[-1]
        hidden = nn.Dense(self.expansion * width, kernel_init=_INIT, name="hidden")(x)
        hidden = _ACTIVATIONS[self.activation](hidden)
        return nn.Dense(width, kernel_init=_INIT, name="mlp")(hidden)


def fusion_block(heads: int, dropout: float, name: str) -> TransformerBlock:
    """A block as the fusions use it: norms first, ReLU, twice the width, and a learned token.

    The learned token `nothing` is always visible: a token whose context is empty gets a learned
    answer, and a context of one token still leaves a choice, so that queries and keys learn.
    """
    return TransformerBlock(heads, dropout, activation="relu", expansion=2, nothing=True, name=name)
