"""The place of a published tensor in our variables, and how it is converted."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# A file may hold any shape; misfits are reported by `fill`, so no signature states one.
Array = Float[np.ndarray, "..."]


def linear_kernel(x: Array) -> Array:
    """The weight of torch's Linear, [out, in], as Flax stores it, [in, out]."""
    return x.T


def conv_kernel(x: Array) -> Array:
    """The weight of torch's Conv2d, [out, in, height, width], to [height, width, in, out]."""
    return np.transpose(x, (2, 3, 1, 0))


def first(x: Array) -> Array:
    """The first element along the first axis."""
    return x[0]


def cut(x: Array, shape: tuple[int, ...]) -> Array:
    """The first rows of a longer table."""
    return x[: shape[0]]


class Place(NamedTuple):
    """Where a tensor goes, and how; several tensors with one path are added.

    `transform` and `fit` raise ValueError, IndexError or TypeError for a tensor of another shape.
    """

    path: tuple[str, ...]  # collection, modules, array
    transform: Callable[[np.ndarray], np.ndarray] = lambda x: x
    # (tensor, shape at `path`) -> tensor of that shape
    fit: Callable[[np.ndarray, tuple[int, ...]], np.ndarray] = lambda x, shape: x


Places = dict[str, list[Place]]  # by published name; one tensor may go to several places


def linear(published: str, *path: str, bias: bool = True) -> Places:
    """The places of torch's Linear; `path` is our Dense."""
    kernel = {f"{published}.weight": [Place(("params", *path, "kernel"), linear_kernel)]}
    if not bias:
        return kernel
    return kernel | {f"{published}.bias": [Place(("params", *path, "bias"))]}


def layer_norm(published: str, *path: str) -> Places:
    """The places of torch's LayerNorm or GroupNorm; `path` is our norm."""
    return {
        f"{published}.weight": [Place(("params", *path, "scale"))],
        f"{published}.bias": [Place(("params", *path, "bias"))],
    }


def batch_norm(published: str, *path: str) -> Places:
    """The places of torch's BatchNorm; `path` is our BatchNorm."""
    return {
        **layer_norm(published, *path),
        f"{published}.running_mean": [Place(("batch_stats", *path, "mean"))],
        f"{published}.running_var": [Place(("batch_stats", *path, "variance"))],
    }
