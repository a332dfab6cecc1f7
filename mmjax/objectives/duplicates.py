"""Which rows of a batch are the same: 64 bits of each, computed on the device."""

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.layers.tokens.masking import clear
from mmjax.types import Masked


def fingerprint(given: Masked) -> Array:
    """int32 `[row, 2]`: equal where rows are equal in all that is not masked.

    Sums over positions of mixed bits (the finaliser of MurmurHash3), so that order matters.
    """
    values = clear(jnp.asarray(given.values), jnp.asarray(given.mask))
    if jnp.issubdtype(values.dtype, jnp.floating):
        values = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.int32)
    parts = [jnp.asarray(part).astype(jnp.int32) for part in (values, given.mask)]
    bits = [jnp.reshape(x, (x.shape[0], -1)).astype(jnp.uint32) for x in parts]

    def mixed(start: int) -> Array:
        return sum((_mixed(x, start + n) for n, x in enumerate(bits)), start=jnp.uint32(0))

    return jnp.stack([mixed(1), mixed(0x51ED270B)], axis=1).astype(jnp.int32)


def _mixed(bits: Array, start: int) -> Array:
    """A hash uint32 `[row]` of bits `[row, position]`; other starts give other hashes."""
    place = jax.lax.broadcasted_iota(jnp.uint32, bits.shape, 1)
    x = bits ^ ((2 * place + jnp.uint32(start)) * jnp.uint32(0x9E3779B9))
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return jnp.sum(x ^ (x >> 16), axis=1, dtype=jnp.uint32)
