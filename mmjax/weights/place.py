"""Where a published tensor belongs, and how it must be turned to fit."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# A file may hold any shape: what does not fit must be told, so no signature asks for one.
Array = Float[np.ndarray, "..."]


def same(x: Array) -> Array:
    """As it is."""
    return x


def linear_kernel(x: Array) -> Array:
    """The weight of torch's Linear, [out, in], as Flax keeps it, [in, out]."""
    return x.T


def conv_kernel(x: Array) -> Array:
    """The weight of torch's Conv2d, [out, in, height, width], to [height, width, in, out]."""
    return np.transpose(x, (2, 3, 1, 0))


def first(x: Array) -> Array:
    """What stands in the first place of the first axis."""
    return x[0]


def as_large(x: Array, shape: tuple[int, ...]) -> Array:
    """A tensor that has the encoder's own size, whatever that is."""
    return x


def cut(x: Array, shape: tuple[int, ...]) -> Array:
    """The first rows of a table that may be longer."""
    return x[: shape[0]]


class Place(NamedTuple):
    """What `transform` makes of a tensor goes to `path`; several on one path are added.

    A ValueError, IndexError or TypeError of either means that the tensor is of another shape.
    """

    path: tuple[str, ...]  # the collection, the modules, the array's name
    transform: Callable[[np.ndarray], np.ndarray] = same
    fit: Callable[[np.ndarray, tuple[int, ...]], np.ndarray] = as_large  # to the shape at `path`


Places = dict[str, list[Place]]  # of each published tensor; one may go to several


def linear(published: str, *path: str, bias: bool = True) -> Places:
    """The places of torch's Linear of that name, of which Dense at `path` is ours."""
    kernel = {f"{published}.weight": [Place(("params", *path, "kernel"), linear_kernel)]}
    if not bias:
        return kernel
    return kernel | {f"{published}.bias": [Place(("params", *path, "bias"))]}


def layer_norm(published: str, *path: str) -> Places:
    """The places of torch's LayerNorm (or GroupNorm) of that name, of which `path` is ours."""
    return {
        f"{published}.weight": [Place(("params", *path, "scale"))],
        f"{published}.bias": [Place(("params", *path, "bias"))],
    }


def batch_norm(published: str, *path: str) -> Places:
    """The places of torch's BatchNorm of that name, of which BatchNorm at `path` is ours."""
    return {
        **layer_norm(published, *path),
        f"{published}.running_mean": [Place(("batch_stats", *path, "mean"))],
        f"{published}.running_var": [Place(("batch_stats", *path, "variance"))],
    }
