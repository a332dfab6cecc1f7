"""Inputs for the checks: random tokens, garbage under a mask, extreme values."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.testing.checks import like
from mmjax.types import Tokens


def tokens_of(
    names: Sequence[str], dim: int = 8, batch: int = 4, seed: int = 0
) -> dict[str, Tokens]:
    """Random tokens, 2, 3, 4 ... of each modality; example 0 has all of them, example 3 none."""
    rng = np.random.default_rng(seed)
    found = {}
    for position, name in enumerate(names):
        count = position + 2
        mask = rng.random((batch, count)) < 0.7
        mask[0], mask[3] = True, False
        values = rng.normal(size=(batch, count, dim)).astype(np.float32)
        found[name] = Tokens(jnp.asarray(values), jnp.asarray(mask))
    return found


def garbage(values: Any, mask: Any, scale: float = 1e30) -> jax.Array:
    """The values with garbage where the mask is False: large numbers, or random ids."""
    rng = np.random.default_rng(9)
    values = jnp.asarray(values)
    if jnp.issubdtype(values.dtype, jnp.integer):
        other = rng.integers(0, 20, values.shape).astype(values.dtype)
    else:
        other = np.clip(rng.normal(size=values.shape) * scale, -3e38, 3e38).astype(np.float32)
    return jnp.where(like(mask, values.ndim), values, other)


def extremes(values: Any) -> list[jax.Array]:
    """Inputs of the same type that are huge, or constant."""
    if jnp.issubdtype(values.dtype, jnp.integer):
        return [jnp.full_like(values, number) for number in (0, 19, -1, 10**9)]
    return [1e4 * values, *(jnp.full_like(values, number) for number in (0.0, 1.0, -1e4))]
