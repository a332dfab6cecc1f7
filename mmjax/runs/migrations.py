"""Checkpoints of formats 1 and 2: converts their names and shapes to today's."""

import re
from collections.abc import Mapping
from typing import Any

from mmjax.types import MetricName


def progress(old: Mapping[str, Any]) -> dict[str, Any]:
    """The progress of a training of format 1: metrics were named source/quantity or
    source/part/quantity."""
    means = []
    for text, pair in old.get("sums", {}).items():
        source, *part, quantity = text.split("/")
        means.append([*MetricName(source, quantity, "/".join(part)), pair])
    return {**{key: value for key, value in old.items() if key != "sums"}, "means": means}


def arrays(tree: Any, stored_format: int) -> Any:
    """Parameters, or what an optimiser keeps for each of them, in a tree of dicts and lists."""
    if isinstance(tree, Mapping):
        new = {key: arrays(item, stored_format) for key, item in tree.items()}
        return _from_2(_from_1(new) if stored_format == 1 else new)
    return [arrays(x, stored_format) for x in tree] if isinstance(tree, list | tuple) else tree


def _from_1(node: dict[str, Any]) -> dict[str, Any]:
    return {"imputation" if key == "missing" else key: item for key, item in node.items()}


def _from_2(node: dict[str, Any]) -> dict[str, Any]:
    """The blocks of fusions had modules for their sublayers, and kernels with an axis of heads."""
    new: dict[str, Any] = {}
    for key, item in node.items():
        decoder = re.fullmatch(r"(decoder_\d+)_(queries|memory|feed_forward)", key)
        if decoder and isinstance(item, Mapping):
            new.setdefault(decoder[1], {}).update(_sublayer(item))
        elif key in ("attend", "feed_forward") and isinstance(item, Mapping):
            new |= _sublayer(item)
        elif key in ("query", "key", "value", "out") and {"query", "key", "value"} & set(node):
            new[key] = _without_heads(item, key)
        else:
            new[key] = item
    return new


def _sublayer(old: Mapping[str, Any]) -> dict[str, Any]:
    prefix = "cross_" if "context_norm" in old else ""
    norm = "mlp_norm" if "mlp" in old else f"{prefix or 'attention_'}norm"
    names = {"norm": norm, "context_norm": "context_norm", "Dense_0": "hidden", "Dense_1": "mlp"}
    parts = {**old, **old.get("attention", {}), **old.get("mlp", {})}
    return {
        str(names.get(key, prefix + key)): item
        for key, item in parts.items()
        if key not in ("attention", "mlp")
    }


def _without_heads(old: Any, name: str) -> Any:
    if not isinstance(old, Mapping):
        return old
    new = dict(old)
    if getattr(old.get("kernel"), "ndim", 0) == 3:
        kernel = old["kernel"]
        shape = (-1, kernel.shape[2]) if name == "out" else (kernel.shape[0], -1)
        new["kernel"] = kernel.reshape(shape)
    if "bias" in old:
        new["bias"] = old["bias"].reshape(-1)
    return new
