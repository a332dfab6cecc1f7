"""Collectives over the global batch, for code that sees one device's share of it.

Modules and objectives name no axis. The training step says which axis the batch is split over while
it is traced: `with over("data"): ...`. Outside of that, and under jit with shardings, where every
program sees the global batch, both functions are identities.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import jax

_axis = contextvars.ContextVar[str | None]("axis", default=None)


@contextlib.contextmanager
def over(axis: str | None) -> Iterator[None]:
    """The named axis that `total` and `gather` cross within; None: they are identities.

    A function that is jitted within, and called elsewhere, keeps the axis.
    """
    token = _axis.set(axis)
    try:
        yield
    finally:
        _axis.reset(token)


def total(tree: Any) -> Any:
    """The sum over all devices of each array of a tree."""
    axis = _axis.get()
    return tree if axis is None else jax.lax.psum(tree, axis)


def gather(tree: Any) -> Any:
    """Arrays `[batch, ...]` of every device, joined along their first axis in device order.

    A loss over pairs of the global batch compares its own rows with the gathered ones, and returns
    the total over its own rows: the sum over devices is then the loss of the global batch, and its
    gradient, which flows back through the gathered rows too, is exact.
    """
    axis = _axis.get()
    if axis is None:
        return tree
    return jax.tree.map(lambda x: jax.lax.all_gather(x, axis, tiled=True), tree)
