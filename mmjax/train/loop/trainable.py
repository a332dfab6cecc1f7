"""The table of a model's parameters: learning rates, and files that they start from."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from rich.table import Table

from mmjax.config import Experiment
from mmjax.layers.tracing.paths import path_of


class Row(NamedTuple):
    """Parameters of one module with the same learning rate."""

    path: str
    parameters: int
    peak_lr: float
    source: str = ""  # a file of weights
    frozen: bool = False  # the whole module, its running statistics too


def rows(params: Mapping[str, Any], experiment: Experiment, files: Mapping[str, str]) -> list[Row]:
    """One row per top-level module and learning rate. `files`: {modality: file of weights}."""
    sources = {experiment.model.path_of(modality): file for modality, file in files.items()}
    frozen = experiment.model.frozen_paths
    sizes = {path_of(path): x.size for path, x in jax.tree_util.tree_leaves_with_path(params)}
    groups: dict[str, dict[float, list[str]]] = {}
    for path in sizes:
        factor = experiment.optim.factor(path, frozen)
        groups.setdefault(path.split("/")[0], {}).setdefault(factor, []).append(path)
    return [
        Row(
            path=f"{module} ({_parts(paths)})" if len(factors) > 1 else module,
            parameters=sum(sizes[path] for path in paths),
            peak_lr=experiment.optim.peak_lr * factor,
            source=sources.get(module, ""),
            frozen=module in frozen,
        )
        for module, factors in sorted(groups.items())
        for factor, paths in sorted(factors.items())
    ]


def _parts(paths: list[str]) -> str:
    parts = sorted({path.split("/")[1] for path in paths})
    return ", ".join(parts) if len(parts) < 4 else f"{parts[0]} ... {parts[-1]}, {len(parts)} parts"


def table(rows: list[Row]) -> Table:
    """The rows as a table to print."""
    sources = any(row.source for row in rows)
    shown = Table("parameters of", "number", "highest learning rate", *["from"] * sources)
    for column in shown.columns[1:3]:
        column.justify = "right"
    for column in shown.columns[3:]:
        column.overflow = "fold"  # never shorten a path
    for row in rows:
        rate = "frozen" if row.frozen else f"{row.peak_lr:g}"
        shown.add_row(row.path, f"{row.parameters:,}", rate, *[row.source] * sources)
    trained = sum(row.parameters for row in rows if row.peak_lr > 0)
    total = sum(row.parameters for row in rows)
    shown.caption = f"{trained:,} of {total:,} parameters learn"
    return shown
