"""Set transformer, Lee et al. 2019, arXiv:1810.00825."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.attention.transformer import fusion_block
from mmjax.layers.fields import require_at_least, require_share
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing.precision import in_kernel_dtype
from mmjax.types import AnyArray, Tokens


@final
class SetTransformer(nn.Module):
    """Points: x = block(x, block(inducing, x)) in each layer; z = block(seeds, x).

    The order of points has no effect. Attention costs points * inducing, not points * points.
    """

    dim: int = 64  # width of a token
    layers: int = 2  # induced set attention blocks
    heads: int = 4  # must divide dim
    inducing: int = 16  # learned points through which each layer attends
    seeds: int = 1  # tokens of the result
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch point feature"],
        mask: Bool[AnyArray, "batch point"],
        train: bool,
    ) -> Tokens:
        """Returns `seeds` tokens."""
        require_at_least(self, 1, "inducing", "seeds", "dim")
        require_at_least(self, 0, "layers")
        require_share(self, "dropout")
        mask = jnp.asarray(mask)
        read = nn.Dense(self.dim, promote_dtype=in_kernel_dtype, name="input")
        x = read(clear(jnp.asarray(values), mask))
        points = mask[:, None, :]

        def block(name: str, x: Array, visible: Array, context: Array) -> Array:
            return fusion_block(self.heads, self.dropout, name)(x, None, train, context, visible)

        everything = jnp.ones((x.shape[0], 1, self.inducing), bool)
        for layer in range(self.layers):
            inducing = self._learned(f"inducing_{layer}", self.inducing, x)
            summary = block(f"summary_{layer}", inducing, points, x)
            x = block(f"block_{layer}", x, everything, summary)
        seeds = self._learned("seeds", self.seeds, x)
        tokens = block("pool", seeds, points, x)
        seed_mask = jnp.broadcast_to(jnp.any(mask, axis=1, keepdims=True), tokens.shape[:2])
        return Tokens(clear(tokens, seed_mask), seed_mask)

    def _learned(self, name: str, count: int, x: Array) -> Array:
        points = self.param(name, nn.initializers.normal(1.0), (count, self.dim))
        return jnp.broadcast_to(points[None].astype(x.dtype), (x.shape[0], count, self.dim))
