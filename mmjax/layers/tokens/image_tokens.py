"""Tokens of an image, which is present or missing as a whole."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear
from mmjax.types import Tokens


def image_tokens(
    x: Float[Array, "batch *position channel"],
    mask: Bool[Array, "batch"],
    dim: int | None,
    positions: bool = False,
) -> Tokens:
    """One token for each position, row by row; all are masked for a missing image.

    With `dim` the calling module gets a layer `projection`, W x + b, to that width, and with
    `positions` a layer `positions` that adds a learned vector for each.
    """
    values = jnp.reshape(x, (x.shape[0], -1, x.shape[-1]))
    if dim is not None:
        values = nn.Dense(dim, name="projection")(values)
    if positions:
        values = _Positions(name="positions")(values)
    mask = jnp.broadcast_to(mask[:, None], values.shape[:2])
    return Tokens(clear(values, mask), mask)


class _Positions(nn.Module):
    """x_p + table_p."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch position dim"]) -> Float[Array, "batch position dim"]:
        table = self.param("table", nn.initializers.normal(0.02), x.shape[1:])
        return x + table.astype(x.dtype)[None]
