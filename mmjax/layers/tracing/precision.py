"""Mixed precision, Micikevicius et al. 2018, arXiv:1710.03740: half-precision compute.

Modules do not name a precision: each computes in the type of its parameters and reads raw input in
the type of that input. Statistics and losses are float32.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from mmjax.types import AnyArray


def in_kernel_dtype(*arrays: AnyArray | None, dtype: Any = None, inexact: bool = True) -> list:
    """Input, kernel and bias in the type of the kernel, as linen's `promote_dtype`.

    For the first layer that reads raw input, which stays float32 until then: time stamps, sound
    samples and numbers of categories would be wrong in bfloat16.
    """
    del dtype, inexact
    kernel = jnp.asarray(arrays[1])
    return [x if x is None else x.astype(kernel.dtype) for x in arrays]


def cast_floats(dtype: DTypeLike) -> Callable[[Any], Any]:
    """tree -> the tree with its floats cast to `dtype`; integers, masks and keys are unchanged."""

    def cast(x: AnyArray) -> AnyArray:
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return lambda tree: jax.tree.map(cast, tree)
