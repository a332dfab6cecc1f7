"""Where a published tensor belongs, and how it must be turned to fit."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float


def same(x: Float[np.ndarray, "*axis"]) -> Float[np.ndarray, "*axis"]:
    """As it is."""
    return x


def linear_kernel(x: Float[np.ndarray, "out in"]) -> Float[np.ndarray, "in out"]:
    """The weight of torch's Linear, as Flax keeps it."""
    return x.T


def conv_kernel(
    x: Float[np.ndarray, "out in height width"],
) -> Float[np.ndarray, "height width in out"]:
    """The weight of torch's Conv2d, as Flax keeps it."""
    return np.transpose(x, (2, 3, 1, 0))


class Place(NamedTuple):
    """What `transform` makes of the tensor goes to `path`; several on one path are added."""

    path: tuple[str, ...]  # the collection, the modules, the array's name
    transform: Callable[[np.ndarray], np.ndarray] = same


def batch_norm(published: str, *path: str) -> dict[str, Place]:
    """The places of torch's BatchNorm of that name, of which BatchNorm at `path` is ours."""
    return {
        f"{published}.weight": Place(("params", *path, "scale")),
        f"{published}.bias": Place(("params", *path, "bias")),
        f"{published}.running_mean": Place(("batch_stats", *path, "mean")),
        f"{published}.running_var": Place(("batch_stats", *path, "variance")),
    }


def variables(
    arrays: Mapping[str, np.ndarray], places: Mapping[str, Place], unused: str
) -> dict[str, Any]:
    """The collections of an encoder for published arrays; names that match `unused` are passed by.

    Raises:
        ValueError: arrays are missing, or there are others that have no place.
    """
    given = {name for name in arrays if name in places or not re.fullmatch(unused, name)}
    missing, surplus = sorted(set(places) - given), sorted(given - set(places))
    if missing or surplus:
        raise ValueError(
            "these weights are of another architecture; "
            f"missing: {', '.join(missing) or 'none'}; surplus: {', '.join(surplus) or 'none'}"
        )
    tree: dict[str, Any] = {}
    for name, place in places.items():
        node = tree
        for key in place.path[:-1]:
            node = node.setdefault(key, {})
        value, leaf = place.transform(arrays[name]), place.path[-1]
        node[leaf] = node[leaf] + value if leaf in node else value
    return tree
