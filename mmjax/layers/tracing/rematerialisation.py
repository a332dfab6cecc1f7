"""Rematerialisation, Chen et al. 2016, arXiv:1604.06174: activations computed twice, not kept.

What a block computes on its way to its output is forgotten, and computed again for the gradient:
of a stack of n blocks there are n inputs in memory, and the inner activations of one. Nothing but
memory and time changes. `with rematerialising(True): ...` holds while a model is traced.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

from flax import linen as nn

_wanted = contextvars.ContextVar("wanted", default=False)


@contextlib.contextmanager
def rematerialising(wanted: bool) -> Iterator[None]:
    """Within, blocks are rematerialised if that is `wanted`. A function jitted in here keeps it."""
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def block(call: Callable) -> Callable:
    """Mark the compact `__call__(self, *arrays, train)` of a module that is such a block."""

    @functools.wraps(call)
    def again(self: nn.Module, *arrays: Any, train: bool | None = None) -> Any:
        if train is None:  # given by position
            *arrays, train = arrays
        if not _wanted.get() or self.is_initializing():
            return call(self, *arrays, train=train)
        return nn.remat(lambda module, *given: call(module, *given, train=train))(self, *arrays)

    return again
