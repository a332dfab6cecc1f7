"""NVIDIA's own kernels, cuDNN's, in place of XLA's: where they are asked for and can be had.

`with vendor_kernels(True): ...` holds while a model is traced. On any other device, and for shapes
that they do not take, all is computed as without it: a run may be evaluated anywhere.
"""

import contextlib
import contextvars
from collections.abc import Iterator

from jax.extend import backend

_wanted = contextvars.ContextVar("wanted", default=False)


@contextlib.contextmanager
def vendor_kernels(wanted: bool) -> Iterator[None]:
    """Within, they are used if that is `wanted`. A function jitted in here keeps it."""
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def use_cudnn() -> bool:
    """Whether cuDNN is to be used, and there. (The platform "gpu" may be AMD's, too.)"""
    return _wanted.get() and "cuda" in backend.get_backend().platform_version
