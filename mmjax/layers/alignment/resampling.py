"""Linear resampling of sequences with gaps to common steps, by order or by time stamps."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear


def resample(
    values: Float[Array, "batch token dim"], mask: Bool[Array, "batch token"], steps: int
) -> Float[Array, "batch step dim"]:
    """z_s = sum_i max(0, 1 - |p_s - i|) x_i,  p_s = s (n - 1) / (steps - 1).

    Linear interpolation at equally spaced points from the first of the n unmasked tokens to the
    last. Padding is left out before they are numbered and may be anywhere. A single token is
    repeated, no token gives zeros, and `steps = 1` reads the first token. There is no smoothing:
    with more tokens than steps, a token that is not within one token of a point is not read.

    Raises:
        ValueError: `steps` is less than 1.
    """
    if steps < 1:
        raise ValueError(f"resample: steps must be at least 1, got {steps}")
    rank = (jnp.cumsum(mask, axis=1) - 1).astype(jnp.float32)
    last = jnp.maximum(jnp.sum(mask, axis=1) - 1, 0).astype(jnp.float32)
    # Product first, then division: a point at a token must be exact.
    points = jnp.arange(steps, dtype=jnp.float32)[None, :] * last[:, None] / max(steps - 1, 1)
    weights = jax.nn.relu(1 - jnp.abs(points[:, :, None] - rank[:, None, :])).astype(values.dtype)
    # At the default precision an accelerator would round the values that it copies.
    return jnp.einsum("bst,btd->bsd", weights, clear(values, mask), precision="highest")


def resample_at(
    values: Float[Array, "batch token dim"],
    mask: Bool[Array, "batch token"],
    times: Float[Array, "batch token"],
    points: Float[Array, "step"],
) -> Float[Array, "batch step dim"]:
    """z_s = x, interpolated linearly at the time points_s; x_i was measured at times_i.

    As numpy.interp: before the first unmasked token and after the last, these are repeated. Tokens
    may stand in any order, those of one time count as their mean, and no token gives zeros. The
    times get no gradient.
    """
    times = jax.lax.stop_gradient(times).astype(points.dtype)[:, None, :]
    at, shown, infinity = points[None, :, None], mask[:, None, :], jnp.inf
    below = jnp.max(times, axis=2, where=shown & (times <= at), initial=-infinity)
    above = jnp.min(times, axis=2, where=shown & (times >= at), initial=infinity)
    below = jnp.where(jnp.isfinite(below), below, above)
    between = above > below
    gap = jnp.where(between, above - below, jnp.ones_like(above))
    share = jnp.where(between, (points[None] - below) / gap, jnp.zeros_like(gap))

    def mean_of(time: Float[Array, "batch step"]) -> Float[Array, "batch step token"]:
        same = (shown & (times == time[:, :, None])).astype(jnp.float32)
        return same / jnp.maximum(jnp.sum(same, axis=2, keepdims=True), 1)

    share = share[:, :, None]
    weights = ((1 - share) * mean_of(below) + share * mean_of(above)).astype(values.dtype)
    return jnp.einsum("bst,btd->bsd", weights, clear(values, mask), precision="highest")
