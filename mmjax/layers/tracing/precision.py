"""Mixed precision, Micikevicius et al. 2018, arXiv:1710.03740: half-precision compute.

Nothing here or in any module names a precision: each computes in that of the parameters that it is
given, and reads its raw input in whatever that comes in. Statistics and losses are float32.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from mmjax.types import AnyArray


def in_kernel_dtype(*arrays: AnyArray | None, dtype: Any = None, inexact: bool = True) -> list:
    """For linen's `promote_dtype`: input and bias in the kernel's type, whatever the input's is.

    For the first layer that reads raw input. Time stamps, samples of sound and numbers of
    categories would be wrong in bfloat16, so they come as float32 and are read before this.
    """
    del dtype, inexact
    kernel = jnp.asarray(arrays[1])
    return [x if x is None else x.astype(kernel.dtype) for x in arrays]


def cast_floats(dtype: DTypeLike) -> Callable[[Any], Any]:
    """tree -> the tree with its floats as `dtype`; integers, masks and keys as they are."""

    def cast(x: Array) -> Array:
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return lambda tree: jax.tree.map(cast, tree)
