"""Rules for the gradient of a batch: of all of it at once, or in parts that take less memory."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.layers.tracing import collectives
from mmjax.types import Batch, MetricName, WeightedMean

Means = dict[MetricName, WeightedMean]
# (params, collections, batch, key) -> means, collections
Forward = Callable[[Any, Any, Batch, Array], tuple[Means, Any]]
Total = Callable[[Mapping[MetricName, WeightedMean]], Array]


class Gradient(NamedTuple):
    """This device's share of the gradient, of the loss and of the totals, and new collections."""

    grads: Any
    loss: Array
    means: Means
    collections: Any


# (forward, total, what forward takes) -> Gradient
Rule = Callable[[Forward, Total, tuple[Any, Any, Batch, Array]], Gradient]


def whole(forward: Forward, total: Total, given: tuple[Any, Any, Batch, Array]) -> Gradient:
    """The gradient of the whole batch at once."""
    grads, (loss, means, collections) = jax.grad(_loss(forward, total), has_aux=True)(*given)
    return Gradient(grads, loss, means, collections)


def accumulated(parts: int) -> Rule:
    """The gradient of the whole batch in `parts`, one after the other.

    The loss divides totals by counts over the whole batch. A part must know these counts before its
    gradient can be right, so they are computed first: parts may hold fewer examples that count, or
    none. Each part has dropout masks of its own. Objectives and modules that mix examples would see
    a part instead of the batch: the training loop refuses them.
    """
    return whole if parts == 1 else functools.partial(_in_parts, parts)


def _loss(forward: Forward, total: Total) -> Callable:
    def loss_of(params, collections, batch, key, counts=None):
        means, collections = forward(params, collections, batch, key)
        # A share of the global mean: this device's total over the count of all devices.
        if counts is None:
            counts = collectives.total({name: mean.count for name, mean in means.items()})
        shares = {name: WeightedMean(mean.total, counts[name]) for name, mean in means.items()}
        loss = total(shares)
        return loss, (loss, means, collections)

    return loss_of


def _in_parts(
    parts: int, forward: Forward, total: Total, given: tuple[Any, Any, Batch, Array]
) -> Gradient:
    params, collections, batch, key = given
    numbered = jnp.arange(parts), jax.tree.map(functools.partial(_split, parts), batch)
    gradient = jax.grad(_loss(forward, total), has_aux=True)

    def count(_, part):
        number, part = part
        means, _ = forward(params, collections, part, jax.random.fold_in(key, number))
        return None, {name: mean.count for name, mean in means.items()}

    # The compiler keeps what counting takes of this pass, which is seldom more than the targets.
    _, counted = jax.lax.scan(count, None, numbered)
    counts = collectives.total(jax.tree.map(jnp.sum, counted))

    def add(carry, part):
        number, part = part
        collections, before = carry
        grads, (loss, means, collections) = gradient(
            params, collections, part, jax.random.fold_in(key, number), counts
        )
        return (collections, jax.tree.map(jnp.add, before, (grads, loss, means))), None

    nothing = {
        name: WeightedMean(jnp.zeros_like(n), jnp.zeros_like(n)) for name, n in counts.items()
    }
    zeros = jax.tree.map(jnp.zeros_like, params), jnp.zeros(()), nothing
    (collections, (grads, loss, means)), _ = jax.lax.scan(add, (collections, zeros), numbered)
    return Gradient(grads, loss, means, collections)


def _split(parts: int, x: Any) -> Array:
    """[batch, ...] -> [part, batch / parts, ...], every `parts`-th example.

    Not neighbours: where devices hold the batch split, each has its share of every part.
    """
    x = jnp.asarray(x)
    size = x.shape[0] // parts
    return jnp.swapaxes(jnp.reshape(x, (size, parts, *x.shape[1:])), 0, 1)
