"""Sums over the global batch, for a module that sees one device's share of it.

Modules name no axis. The training step says how a sum crosses devices, while it is traced:
`with summing(lambda tree: jax.lax.psum(tree, axis)): ...`
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

_across = contextvars.ContextVar[Callable[[Any], Any]]("across", default=lambda tree: tree)


@contextlib.contextmanager
def summing(across: Callable[[Any], Any]) -> Iterator[None]:
    """`global_sum` is `across` within. A function jitted in here and used elsewhere keeps it."""
    token = _across.set(across)
    try:
        yield
    finally:
        _across.reset(token)


def global_sum(tree: Any) -> Any:
    """The sum of a tree of arrays over all devices; elsewhere than in `summing` the tree itself."""
    return _across.get()(tree)
