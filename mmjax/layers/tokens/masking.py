"""Masks: masked values must not affect any output and receive zero gradient."""

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
    """Set masked values to exact zeros; the mask's axes are the leading axes of `values`.

    `where` instead of a product: infinity or NaN times zero is NaN, in the gradient too.
    """
    values = jnp.asarray(values)
    mask = jnp.reshape(mask, mask.shape + (1,) * (values.ndim - mask.ndim))
    return jnp.where(mask, values, jnp.zeros_like(values))


def masked_softmax(
    scores: Float[Array, "batch choice"], mask: Bool[Array, "batch choice"]
) -> Float[Array, "batch choice"]:
    """softmax over the unmasked choices; uniform, with a finite gradient, if all are masked."""
    lowest = jnp.full_like(scores, jnp.finfo(scores.dtype).min)
    return jax.nn.softmax(jnp.where(mask, scores, lowest), axis=1)


def masked_product(
    factors: Sequence[Float[Array, "batch *axis"] | Complex[Array, "batch *axis"]],
    masks: Sequence[Bool[Array, "batch"]],
) -> Float[Array, "batch *axis"] | Complex[Array, "batch *axis"]:
    """The product of the unmasked factors; ones for an example without any."""
    present = (
        jnp.where(mask.reshape(-1, *(1,) * (factor.ndim - 1)), factor, jnp.ones_like(factor))
        for factor, mask in zip(factors, masks, strict=True)
    )
    return functools.reduce(operator.mul, present)


def stand_in(
    tokens: Tokens, token: Float[Array, "batch dim"], possible: Bool[Array, "batch"]
) -> Tokens:
    """Put `token` in the first place of examples without tokens, where `possible`."""
    fill = possible & ~tokens.present()
    first = jnp.where(fill[:, None], token, tokens.values[:, 0])
    return Tokens(
        jnp.concatenate([first[:, None], tokens.values[:, 1:]], axis=1),
        jnp.concatenate([tokens.mask[:, :1] | fill[:, None], tokens.mask[:, 1:]], axis=1),
    )
