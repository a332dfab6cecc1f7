"""Checkpoints of format 1, under the names of today.

It named what a step reports by texts, and the model's field `imputation` `missing`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import Sharding

from mmjax.layers.tracing.paths import path_of
from mmjax.types import MetricName

_NEW_NAMES = {"missing": "imputation"}


def progress(old: Mapping[str, Any]) -> dict[str, Any]:
    """The progress of a training."""
    sums = old.get("sums", {})
    means = [[*_named(name), pair] for name, pair in sums.items()]
    return {**{key: value for key, value in old.items() if key != "sums"}, "means": means}


def _named(name: str) -> MetricName:
    """The name that was written as source/quantity or source/part/quantity."""
    source, *part, quantity = name.split("/")
    return MetricName(source, quantity, "/".join(part))


def renamed(tree: Any) -> Any:
    """A tree of arrays."""
    if isinstance(tree, Mapping):
        return {_NEW_NAMES.get(key, key): renamed(item) for key, item in tree.items()}
    return [renamed(item) for item in tree] if isinstance(tree, list | tuple) else tree


def filled(like: dict[str, Any], arrays: Any, place: Callable[[Any], Sharding]) -> dict[str, Any]:
    """Arrays that fit `like`, in its structure and on its devices."""
    by_path = {path_of(keys): x for keys, x in jax.tree_util.tree_leaves_with_path(arrays)}
    return jax.tree_util.tree_map_with_path(
        lambda keys, x: jax.device_put(by_path[path_of(keys)], place(x)), like
    )
