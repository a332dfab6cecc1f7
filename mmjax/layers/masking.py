"""Masks: what is not there must neither change a result nor receive a gradient."""

from jax import Array
from jax import numpy as jnp
from jaxtyping import Bool, Float, Shaped

from mmjax.types import AnyArray, Tokens


def clear(
    values: Shaped[AnyArray, "*position_and_element"], mask: Bool[AnyArray, "*position"]
) -> Shaped[Array, "*position_and_element"]:
    """Put exact zeros under a False mask; the mask's axes are the leading axes of `values`.

    `where`, not a product: garbage times zero is not zero when the garbage overflows, and only
    `where` gives the garbage exactly no gradient.
    """
    values = jnp.asarray(values)
    mask = jnp.reshape(mask, mask.shape + (1,) * (values.ndim - mask.ndim))
    return jnp.where(mask, values, jnp.zeros_like(values))


def stand_in(
    tokens: Tokens, token: Float[Array, "batch dim"], possible: Bool[Array, "batch"]
) -> Tokens:
    """Put `token` in the first place of the examples that have none, where that is possible."""
    fill = possible & ~tokens.present()
    first = jnp.where(fill[:, None], token, tokens.values[:, 0])
    return Tokens(
        jnp.concatenate([first[:, None], tokens.values[:, 1:]], axis=1),
        jnp.concatenate([tokens.mask[:, :1] | fill[:, None], tokens.mask[:, 1:]], axis=1),
    )
