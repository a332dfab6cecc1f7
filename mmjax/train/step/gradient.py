"""The gradient of a batch: at once, or in parts one after the other, which take less memory.

The loss divides totals by counts over the whole batch. A part must know these counts before its
gradient can be right, so they are found first: parts may hold fewer examples that count, or none.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.types import Batch, WeightedMean

# (params, collections, batch, key) -> sums, collections
Forward = Callable[[Any, Any, Batch, Array], tuple[dict[str, WeightedMean], Any]]


def gradient(
    forward: Forward,
    total: Callable[[Mapping[str, WeightedMean]], Array],
    given: tuple[Any, Any, Batch, Array],
    *,
    parts: int,
    across: Callable[[Any], Any],
) -> tuple[Any, Array, dict[str, WeightedMean], Any]:
    """This device's share of the gradient, of the loss and of the sums; and the new collections.

    `given` is what `forward` takes, `total` adds up what it returns, `across` sums over devices.
    In `parts` it is the gradient of the whole batch, except for what a module draws (each part has
    dropout masks of its own) or takes from the batch (BatchNorm sees a part, that of all devices).
    """

    def loss_of(params, collections, part, key, counts=None):
        sums, collections = forward(params, collections, part, key)
        # A share of the global mean: this device's total over everybody's count.
        if counts is None:
            counts = across({name: found.count for name, found in sums.items()})
        loss = total(
            {name: WeightedMean(found.total, counts[name]) for name, found in sums.items()}
        )
        return loss, (loss, sums, collections)

    if parts == 1:
        grads, (loss, sums, collections) = jax.grad(loss_of, has_aux=True)(*given)
        return grads, loss, sums, collections
    params, collections, batch, key = given
    numbered = jnp.arange(parts), jax.tree.map(functools.partial(_split, parts), batch)

    def count(_, part):
        number, part = part
        sums, _ = forward(params, collections, part, jax.random.fold_in(key, number))
        return None, {name: found.count for name, found in sums.items()}

    # Of this pass the compiler keeps what counting takes, which is seldom more than the labels.
    _, counted = jax.lax.scan(count, None, numbered)
    counts = across(jax.tree.map(jnp.sum, counted))

    def add(carry, part):
        number, part = part
        collections, before = carry
        grads, (loss, sums, collections) = jax.grad(loss_of, has_aux=True)(
            params, collections, part, jax.random.fold_in(key, number), counts
        )
        return (collections, jax.tree.map(jnp.add, before, (grads, loss, sums))), None

    nothing = {
        name: WeightedMean(jnp.zeros_like(n), jnp.zeros_like(n)) for name, n in counts.items()
    }
    zeros = jax.tree.map(jnp.zeros_like, params), jnp.zeros(()), nothing
    (collections, (grads, loss, sums)), _ = jax.lax.scan(add, (collections, zeros), numbered)
    return grads, loss, sums, collections


def _split(parts: int, x: Any) -> Array:
    """[batch, ...] -> [part, batch / parts, ...], every `parts`-th example.

    Not neighbours: where devices hold the batch split, each has its share of every part.
    """
    x = jnp.asarray(x)
    return jnp.swapaxes(jnp.reshape(x, (len(x) // parts, parts, *x.shape[1:])), 0, 1)
