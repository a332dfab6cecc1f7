"""Intervals between irregular time stamps, Che et al. 2018 (GRU-D), arXiv:1606.01865."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear


def with_intervals(
    values: Float[Array, "batch token feature"],
    mask: Bool[Array, "batch token"],
    channel: int | None,
) -> Float[Array, "batch token _"]:
    """The values, zeros where masked, with log(1 + |t_i - t_j|) appended, t = values[channel].

    j is the unmasked token before i; the first interval is 0. Choose a unit in which intervals are
    about 1, and count from the start of the series: float32 cannot represent minutes in seconds
    since 1970. With `channel=None` nothing is appended.

    Raises:
        ValueError: `channel` is out of range.
    """
    values = clear(values, mask)
    if channel is None:
        return values
    if not 0 <= channel < values.shape[-1]:
        raise ValueError(
            f"time={channel}: expected one of the channels 0 to {values.shape[-1] - 1}"
        )
    time, place = values[:, :, channel], jnp.arange(mask.shape[1])[None]
    latest = jax.lax.cummax(jnp.where(mask, place, -jnp.ones_like(place)), axis=1)
    before = jnp.pad(latest, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
    gap = jnp.abs(time - jnp.take_along_axis(time, jnp.maximum(before, 0), axis=1))
    gap = clear(jnp.log1p(gap), mask & (before >= 0))
    return jnp.concatenate([values, gap[:, :, None]], axis=-1)
