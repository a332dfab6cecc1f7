"""Switches that hold while a model is traced."""

import contextlib
import contextvars
from collections.abc import Iterator


class Switch:
    """`with switch(True): ...` turns it on within; `bool(switch)` reads it. It begins as off.

    A function that is jitted within, and called elsewhere, keeps what was read while it was traced.
    """

    def __init__(self, name: str):
        self._on = contextvars.ContextVar(name, default=False)

    @contextlib.contextmanager
    def __call__(self, on: bool = True) -> Iterator[None]:
        token = self._on.set(on)
        try:
            yield
        finally:
            self._on.reset(token)

    def __bool__(self) -> bool:
        return self._on.get()
