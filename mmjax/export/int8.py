"""Weights as 8-bit integers with a scale per channel (Jacob et al. 2018, arXiv:1712.05877).

w ~ q s, with q in -127..127 and s = max |w| / 127 over all axes but the last: symmetric, weights
only. The computation stays in float32.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

SCALE = ".scale"  # what the name of an array's scales ends with
SMALLEST = 256  # numbers in an array; smaller ones would save nothing


def quantised(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with kernels and tables as int8, and beside each its scales, `[channel]`."""
    packed: dict[str, np.ndarray] = {}
    for name, values in parameters.items():
        if values.ndim < 2 or values.size < SMALLEST or values.dtype != np.float32:
            packed[name] = values
            continue
        scale = np.max(np.abs(values), axis=tuple(range(values.ndim - 1))) / np.float32(127)
        scale = np.where(scale > 0, scale, np.float32(1)).astype(np.float32)
        packed[name] = np.rint(values / scale).astype(np.int8)
        packed[name + SCALE] = scale
    return packed


def dequantised(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays as float32, by their names before `quantised`; others as they are."""
    scales = {name for name in parameters if name.endswith(SCALE)}
    return {
        name: values.astype(jnp.float32) * parameters[name + SCALE]
        if name + SCALE in scales
        else values
        for name, values in parameters.items()
        if name not in scales
    }
