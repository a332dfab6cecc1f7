"""The contracts of an encoder."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.testing import checks
from mmjax.testing.samples import extremes, garbage
from mmjax.types import Tokens


def check_encoder(encoder: nn.Module, values: Any, mask: Any) -> None:
    """Check an encoder: masked values, missing modalities, extreme inputs, padding.

    Args:
        encoder: `(values, mask, train) -> Tokens`
        values: `[batch, ...]`, numbers or ids
        mask: `[batch]`, or `[batch, position]` for values that may be padded; False for some
            values, and for all values of one example

    Raises:
        AssertionError: the encoder breaks a contract; says which.
    """
    values, mask = jnp.asarray(values), jnp.asarray(mask)
    variables = checks.init(encoder, values, mask)
    continuous = jnp.issubdtype(values.dtype, jnp.floating)

    def loss(params, values, mask):
        tokens = encoder.apply({**variables, "params": params}, values, mask, train=False)
        return checks.scalar(tokens), tokens

    wanted = (0, 1) if continuous else (0,)
    measure = jax.jit(jax.grad(loss, argnums=wanted, has_aux=True))
    given = functools.partial(measure, variables.get("params", {}))
    original = given(values, mask)
    gradients, tokens = original
    checks.require_finite(original)
    checks.require_alive(gradients[0])
    # So large that a first layer would overflow.
    changed = given(garbage(values, mask, scale=1e40), mask)
    checks.require_equal(original, changed, "hidden values affect tokens or gradients")
    if continuous:
        hidden = np.broadcast_to(checks.like(~np.asarray(mask), values.ndim), values.shape)
        gradient = np.asarray(gradients[1])
        checks.require(not np.any(gradient[hidden]), "hidden values receive a gradient")
        checks.require(bool(np.any(gradient[~hidden])), "visible values receive no gradient")
    nothing, missing = given(values, jnp.zeros_like(mask))
    checks.require(not np.any(missing.mask), "a missing modality has tokens")
    checks.require(not np.any(missing.values), "the values of masked tokens are not zero")
    checks.require(not checks.any_nonzero(nothing), "a missing modality has a gradient")
    for extreme in extremes(values):
        checks.require_finite(given(extreme, mask))
    encode = jax.jit(functools.partial(encoder.apply, variables, train=False))
    for i in range(mask.shape[0]):
        alone: Any = encode(values[i : i + 1], mask[i : i + 1])
        checks.require_equal(alone.mask[0], tokens.mask[i], "an example depends on its batch")
        checks.require_close(alone.values[0], tokens.values[i], "an example depends on its batch")
    if mask.ndim == 2 and not hasattr(encoder, "categories"):  # sequences of any length
        _check_lengths(encode, values, mask, tokens)


def _check_lengths(encode: Any, values: jax.Array, mask: jax.Array, tokens: Tokens) -> None:
    padded: Any = encode(
        *(jnp.pad(x, [(0, 0), (0, 3)] + [(0, 0)] * (x.ndim - 2)) for x in (values, mask))
    )
    count = tokens.mask.shape[1]
    checks.require_equal(padded.mask[:, :count], tokens.mask, "longer padding changes the mask")
    checks.require(not np.any(padded.mask[:, count:]), "longer padding gives more tokens")
    checks.require_close(padded.values[:, :count], tokens.values, "longer padding changes tokens")
    empty: Any = encode(values[:, :0], mask[:, :0])
    checks.require(not np.any(empty.mask), "an empty sequence has tokens")
    checks.require(not np.any(empty.values), "the values of masked tokens are not zero")
