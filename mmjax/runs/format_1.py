"""Checkpoints of format 1: converts their names of metrics and modules to today's."""

from collections.abc import Mapping
from typing import Any

from mmjax.types import MetricName

_NEW_NAMES = {"missing": "imputation"}


def progress(old: Mapping[str, Any]) -> dict[str, Any]:
    """The progress of a training; metrics were named source/quantity or source/part/quantity."""
    means = []
    for text, pair in old.get("sums", {}).items():
        source, *part, quantity = text.split("/")
        means.append([*MetricName(source, quantity, "/".join(part)), pair])
    return {**{key: value for key, value in old.items() if key != "sums"}, "means": means}


def renamed(tree: Any) -> Any:
    """A tree of arrays."""
    if isinstance(tree, Mapping):
        return {_NEW_NAMES.get(key, key): renamed(item) for key, item in tree.items()}
    return [renamed(item) for item in tree] if isinstance(tree, list | tuple) else tree
