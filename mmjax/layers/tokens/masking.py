"""Masks: what is not there must neither change a result nor receive a gradient."""

import functools
import operator
from collections.abc import Sequence

import jax
from jax import Array
from jax import numpy as jnp
from jaxtyping import Bool, Complex, Float, Shaped

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


def masked_softmax(
    scores: Float[Array, "batch choice"], mask: Bool[Array, "batch choice"]
) -> Float[Array, "batch choice"]:
    """softmax over what the mask shows; over nothing it is uniform, and its gradient finite."""
    lowest = jnp.full_like(scores, jnp.finfo(scores.dtype).min)
    return jax.nn.softmax(jnp.where(mask, scores, lowest), axis=1)


def masked_product(
    factors: Sequence[Float[Array, "batch *axis"] | Complex[Array, "batch *axis"]],
    masks: Sequence[Bool[Array, "batch"]],
) -> Float[Array, "batch *axis"] | Complex[Array, "batch *axis"]:
    """The product of the factors that are there; ones for an example without any."""
    there = (
        jnp.where(mask.reshape(-1, *(1,) * (factor.ndim - 1)), factor, jnp.ones_like(factor))
        for factor, mask in zip(factors, masks, strict=True)
    )
    return functools.reduce(operator.mul, there)


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
