"""Migrations: convert configurations of older formats, one format at a time.

Formats 1 and 2 are not read.
"""

import re
from collections.abc import Callable
from typing import Any

COMPUTE = ("parallel", "devices", "fsdp", "accumulate", "steps_per_call", "buckets", "workers")
COMPUTE += ("on_nonfinite", "skip_limit")
KEEPING = ("eval_every", "log_every", "keep", "best_metric", "best_mode", "tensorboard")


def from_3(old: dict[str, Any]) -> dict[str, Any]:
    """Format 3: all fields in one list; output and target of an objective had its own name."""
    new = {k: v for k, v in old.items() if k not in COMPUTE + KEEPING}
    model = dict(old["model"])
    compute = {name: old[name] for name in COMPUTE if name in old}
    compute |= {name: model.pop(name) for name in ("remat",) if name in model}
    model.pop("kernels", None)  # a choice between equal results
    optim = dict(old["optim"])
    if "rates" in optim:
        optim["rates"] = {_repathed(path): rate for path, rate in optim["rates"].items()}
    if "missing" in model:
        model["imputation"] = _retyped(model.pop("missing"), "missing/", "imputation/")
    encoders = {
        name: _retyped(encoder, "encoder/bag", "encoder/bag_of_words")
        if encoder["type"] == "encoder/bag"
        else encoder
        for name, encoder in model["encoders"].items()
    }
    objectives = {
        name: {"output": name, "target": name, **objective}
        for name, objective in old["objectives"].items()
    }
    return {
        **new,
        "optim": optim,
        "model": {**model, "encoders": encoders},
        "objectives": objectives,
        "compute": compute,
        "keeping": {name: old[name] for name in KEEPING if name in old},
    }


def _repathed(path: str) -> str:
    return re.sub(r"^missing(?=/|$)", "imputation", path)


def _retyped(part: dict[str, Any], before: str, after: str) -> dict[str, Any]:
    return {**part, "type": after + part["type"].removeprefix(before)}


def from_4(old: dict[str, Any]) -> dict[str, Any]:
    """Format 4: the weight of an objective could only rise, over the first `ramp` steps."""

    def scheduled(objective: dict[str, Any]) -> dict[str, Any]:
        new = {key: value for key, value in objective.items() if key != "ramp"}
        if (ramp := objective.get("ramp", 0)) > 0:
            new["schedule"] = [[0, 1 / ramp], [ramp - 1, 1.0]] if ramp > 1 else []
        return new

    objectives = {name: scheduled(objective) for name, objective in old["objectives"].items()}
    return {**old, "objectives": objectives}


# {field of format 5: (kind of its columns, {its options})}
_COLUMNS = {
    "images": ("image", {"image_size": "size", "grey": "grey"}),
    "texts": (
        "text",
        {
            "max_words": "max_words",
            "vocabulary_size": "vocabulary_size",
            "tokens": "tokens",
            "tokenizer": "tokenizer",
            "word_dropout": "dropout",
        },
    ),
    "recordings": ("sound", {"sample_rate": "sample_rate", "max_samples": "max_samples"}),
    "tables": ("table", {}),
    "features": ("features", {"max_tokens": "max_tokens"}),
    "labels": ("binary", {}),
    "classes": ("class", {"unknown_class": "unknown"}),
    "multi_labels": ("multi_label", {}),
    "numbers": ("number", {}),
}


def from_5(old: dict[str, Any]) -> dict[str, Any]:
    """Format 5: a CSV file had a field for the columns of each kind, and one set of options."""
    data = old["data"]
    if data["type"] != "data/csv":
        return old
    columns: dict[str, Any] = {}
    for field, (kind, options) in _COLUMNS.items():
        values = {new: data[before] for before, new in options.items() if before in data}
        for name in data.get(field, ()):
            columns[name] = {"type": f"column/{kind}", **values}
    gone = {*_COLUMNS, *(field for _, options in _COLUMNS.values() for field in options)}
    kept = {key: value for key, value in data.items() if key not in gone}
    return {**old, "data": {**kept, "type": "data/table", "columns": columns}}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    3: from_3,
    4: from_4,
    5: from_5,
}
