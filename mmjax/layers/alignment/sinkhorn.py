"""Sinkhorn distances: entropic optimal transport, Cuturi 2013, arXiv:1306.0895."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float


def sinkhorn(
    scores: Float[Array, "batch row column"],
    row_mask: Bool[Array, "batch row"],
    column_mask: Bool[Array, "batch column"],
    *,
    temperature: float,
    iterations: int,
) -> Float[Array, "batch row column"]:
    """argmax_P <P, scores> + temperature * entropy(P),  P 1 = 1 / rows,  P^T 1 = 1 / columns.

    Each unmasked row sends and each unmasked column receives the same share; the plan sums to 1. It
    is zero for masked rows and columns, and where one side has none. `iterations` updates of both
    potentials are made in the log domain, the columns' last: column sums are exact, and row sums
    converge with the iterations. A lower temperature (in the unit of the scores) gives a sharper
    plan and needs more iterations.

    Raises:
        ValueError: `temperature` is not greater than 0, or `iterations` is less than 1.
    """
    if not temperature > 0:
        raise ValueError(f"sinkhorn: temperature must be greater than 0, got {temperature}")
    if iterations < 1:
        raise ValueError(f"sinkhorn: iterations must be at least 1, got {iterations}")
    both = row_mask[:, :, None] & column_mask[:, None, :]
    # Potentials add up over the updates: half precision would lose too much.
    logits = scores.astype(jnp.float32) / temperature
    # exp(-1e9) is exactly 0, and the potentials stay finite.
    hidden = jnp.full_like(logits, -1e9)
    log_row, log_column = _log_share(row_mask), _log_share(column_mask)

    def update(potentials, _):
        _, g = potentials
        f = log_row - jax.nn.logsumexp(jnp.where(both, logits + g[:, None, :], hidden), axis=2)
        g = log_column - jax.nn.logsumexp(jnp.where(both, logits + f[:, :, None], hidden), axis=1)
        return (f, g), None

    # zeros_like of an input, not zeros: inside shard_map the carry must vary over devices.
    start = tuple(jnp.zeros_like(logits, shape=side.shape) for side in (row_mask, column_mask))
    (f, g), _ = jax.lax.scan(update, start, length=iterations)
    log_plan = jnp.where(both, logits + f[:, :, None] + g[:, None, :], hidden)
    return jnp.exp(log_plan).astype(scores.dtype)


def _log_share(mask: Bool[Array, "batch side"]) -> Float[Array, "batch 1"]:
    """log(1 / n) for n unmasked rows or columns."""
    count = jnp.sum(mask, axis=1, keepdims=True)
    return -jnp.log(jnp.maximum(count, 1).astype(jnp.float32))
