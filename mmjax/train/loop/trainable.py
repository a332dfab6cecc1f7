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
    source: str = ""  # a file of weights, or a part of another run
    frozen: bool = False  # the whole module, its running statistics too


def rows(
    params: Mapping[str, Any], experiment: Experiment, sources: Mapping[str, str]
) -> list[Row]:
    """One row per top-level module and learning rate. `sources`: {module: file or run}."""
    frozen = experiment.model.frozen_paths
    groups: dict[str, dict[float, dict[str, int]]] = {}
    for keys, x in jax.tree_util.tree_leaves_with_path(params):
        module, _, below = path_of(keys).partition("/")
        factor = experiment.optim.factor(path_of(keys), frozen)
        sizes = groups.setdefault(module, {}).setdefault(factor, {})
        part = below.split("/")[0]
        sizes[part] = sizes.get(part, 0) + x.size
    result = []
    for module, factors in sorted(groups.items()):
        for factor, sizes in sorted(factors.items()):
            parts = f" ({', '.join(sorted(sizes))})" if len(factors) > 1 else ""
            rate = experiment.optim.peak_lr * factor
            source, is_frozen = sources.get(module, ""), module in frozen
            result.append(Row(module + parts, sum(sizes.values()), rate, source, is_frozen))
    return result


def table(rows: list[Row]) -> Table:
    """The rows as a table to print."""
    sources = any(row.source for row in rows)
    result = Table("parameters of", "number", "highest learning rate", *["from"] * sources)
    for column in result.columns[1:3]:
        column.justify = "right"
    for column in result.columns[3:]:
        column.overflow = "fold"  # never shorten a path
    for row in rows:
        rate = "frozen" if row.frozen else f"{row.peak_lr:g}"
        result.add_row(row.path, f"{row.parameters:,}", rate, *[row.source] * sources)
    trained = sum(row.parameters for row in rows if row.peak_lr > 0)
    total = sum(row.parameters for row in rows)
    result.caption = f"{trained:,} of {total:,} parameters learn"
    return result
