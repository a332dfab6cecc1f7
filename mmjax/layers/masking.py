"""Masks: what is not there must neither change a result nor receive a gradient."""

from jax import Array
from jax import numpy as jnp
from jaxtyping import Bool, Shaped

from mmjax.types import AnyArray


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
