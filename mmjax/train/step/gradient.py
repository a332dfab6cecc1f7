"""Rules for the gradient of a batch: at once, or in parts that need less memory."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.layers.tracing import collectives
from mmjax.types import Batch, MetricName, WeightedMean

Means = dict[MetricName, WeightedMean]
Inputs = tuple[Any, Any, Batch, Array]  # params, collections, batch, key
Forward = Callable[[Any, Any, Batch, Array], tuple[Means, Any]]  # -> means, collections
Total = Callable[[Mapping[MetricName, WeightedMean]], Array]  # a number, or one for each task
Differentiate = Callable[..., Callable]  # jax.grad, or jax.jacrev for the gradient of each task


class Gradient(NamedTuple):
    """This device's share of the gradient, the loss and the totals; and new collections."""

    grads: Any
    loss: Array
    means: Means
    collections: Any


Rule = Callable[[Forward, Total, Inputs, Differentiate], Gradient]


def whole(
    forward: Forward, total: Total, inputs: Inputs, differentiate: Differentiate = jax.grad
) -> Gradient:
    """The gradient of the batch at once."""
    gradient = differentiate(_loss(forward, total), has_aux=True)
    grads, (loss, means, collections) = gradient(*inputs)
    return Gradient(grads, loss, means, collections)


def accumulated(parts: int) -> Rule:
    """The gradient of the batch in `parts`, one after the other.

    The loss divides totals by the counts of the whole batch, so these are computed first; a part
    may contain any number of examples that count. Each part has its own dropout masks. Objectives
    and modules that mix examples would see one part only: the training loop rejects them.
    """
    return whole if parts == 1 else functools.partial(_in_parts, parts)


def _loss(forward: Forward, total: Total) -> Callable:
    def loss_of(params, collections, batch, key, counts=None):
        means, collections = forward(params, collections, batch, key)
        # This device's share of the global mean: its totals over the counts of all devices.
        if counts is None:
            counts = collectives.total({name: mean.count for name, mean in means.items()})
        shares = {name: WeightedMean(mean.total, counts[name]) for name, mean in means.items()}
        loss = total(shares)
        return loss, (loss, means, collections)

    return loss_of


def _in_parts(
    parts: int,
    forward: Forward,
    total: Total,
    inputs: Inputs,
    differentiate: Differentiate = jax.grad,
) -> Gradient:
    params, collections, batch, key = inputs
    numbered = jnp.arange(parts), jax.tree.map(functools.partial(_split, parts), batch)
    gradient = differentiate(_loss(forward, total), has_aux=True)

    def count(_, part):
        number, part = part
        means, _ = forward(params, collections, part, jax.random.fold_in(key, number))
        return None, {name: mean.count for name, mean in means.items()}

    # The compiler removes all of this pass that counts do not need: usually all but the targets.
    _, counted = jax.lax.scan(count, None, numbered)
    counts = collectives.total(jax.tree.map(jnp.sum, counted))

    def add(carry, part):
        number, part = part
        collections, before = carry
        grads, (loss, means, collections) = gradient(
            params, collections, part, jax.random.fold_in(key, number), counts
        )
        return (collections, jax.tree.map(jnp.add, before, (grads, loss, means))), None

    one = jax.tree.map(lambda x: x[0], numbered[1])
    shapes, (loss, means, _) = jax.eval_shape(gradient, params, collections, one, key, counts)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (shapes, loss, means))
    (collections, (grads, loss, means)), _ = jax.lax.scan(add, (collections, zeros), numbered)
    return Gradient(grads, loss, means, collections)


def _split(parts: int, x: Any) -> Array:
    """[batch, ...] -> [part, batch / parts, ...], every `parts`-th example.

    Not neighbours: where the batch is split over devices, each has a share of every part.
    """
    x = jnp.asarray(x)
    size = x.shape[0] // parts
    return jnp.swapaxes(jnp.reshape(x, (size, parts, *x.shape[1:])), 0, 1)
