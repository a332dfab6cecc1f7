"""Collectives over the global batch, and of parameters that are stored in parts.

Modules and objectives do not name the axis. The training step sets the axis over which the batch is
split while it is traced: `with over("data"): ...`. Outside of it `total` and `gather` are
identities, as under jit with shardings, where the program sees the global batch.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import jax

_axis = contextvars.ContextVar[str | None]("axis", default=None)
_whole = contextvars.ContextVar[Callable[[Any], Any] | None]("whole", default=None)


@contextlib.contextmanager
def _set(variable: contextvars.ContextVar, value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def over(axis: str | None) -> AbstractContextManager[None]:
    """Set the axis of `total` and `gather`; with None these are identities.

    A function that is jitted within keeps the axis when it is called elsewhere.
    """
    return _set(_axis, axis)


def total(tree: Any) -> Any:
    """The sum over all devices of each array of a tree."""
    axis = _axis.get()
    return tree if axis is None else jax.lax.psum(tree, axis)


def index() -> Any:
    """The number of this device; 0 outside of `over`."""
    axis = _axis.get()
    return 0 if axis is None else jax.lax.axis_index(axis)


def gather(tree: Any) -> Any:
    """Arrays `[batch, ...]` of every device, joined along their first axis in device order.

    A loss over pairs of the global batch compares its own rows with the gathered rows and returns
    the total over its own rows. The sum over devices is the loss of the global batch, and its
    gradient, which also flows through the gathered rows, is exact.
    """
    axis = _axis.get()
    if axis is None:
        return tree
    return jax.tree.map(lambda x: jax.lax.all_gather(x, axis, tiled=True), tree)


def stored_in_parts(joined: Callable[[Any], Any]) -> AbstractContextManager[None]:
    """Set what `whole` does to parameters; without it nothing."""
    return _set(_whole, joined)


def whole(params: Any) -> Any:
    """The parameters as a model computes with them: each device gathers what others store."""
    joined = _whole.get()
    return params if joined is None else joined(params)
