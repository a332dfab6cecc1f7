"""What trains: a table of a model's parameters, their learning rates and where they came from."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from rich.table import Table

from mmjax.config import Experiment
from mmjax.layers.tracing.paths import path_of


class Row(NamedTuple):
    """Parameters of one module that learn alike."""

    path: str
    parameters: int
    peak_lr: float
    source: str = ""  # a file of weights
    frozen: bool = False  # the whole module, its statistics too


def rows(params: Mapping[str, Any], experiment: Experiment, files: Mapping[str, str]) -> list[Row]:
    """One row for each top-level module, or several where its parts have different rates.

    `files` says which modality's encoder began with which file.
    """
    sources = {experiment.model.path_of(modality): file for modality, file in files.items()}
    found: dict[tuple[str, float], list[str]] = {}
    sizes = {path_of(path): x.size for path, x in jax.tree_util.tree_leaves_with_path(params)}
    for path in sizes:
        factor = experiment.optim.factor(path, experiment.model.frozen_paths)
        found.setdefault((path.split("/")[0], factor), []).append(path)
    split = {module for module, _ in found if sum(other == module for other, _ in found) > 1}
    return [
        Row(
            path=f"{module} ({_parts(paths)})" if module in split else module,
            parameters=sum(sizes[path] for path in paths),
            peak_lr=experiment.optim.peak_lr * factor,
            source=sources.get(module, ""),
            frozen=module in experiment.model.frozen_paths,
        )
        for (module, factor), paths in sorted(found.items())
    ]


def _parts(paths: list[str]) -> str:
    """The parts of a module, the first and the last of them if they are many."""
    parts = sorted({path.split("/")[1] for path in paths})
    return ", ".join(parts) if len(parts) < 4 else f"{parts[0]} ... {parts[-1]}, {len(parts)} parts"


def table(rows: list[Row]) -> Table:
    """For people."""
    sources = any(row.source for row in rows)
    shown = Table("parameters of", "number", "highest learning rate", *["from"] * sources)
    for column in shown.columns[1:3]:
        column.justify = "right"
    for column in shown.columns[3:]:
        column.overflow = "fold"  # a path is read whole or not at all
    for row in rows:
        rate = "frozen" if row.frozen else f"{row.peak_lr:g}"
        shown.add_row(row.path, f"{row.parameters:,}", rate, *[row.source] * sources)
    moving = sum(row.parameters for row in rows if row.peak_lr > 0)
    total = sum(row.parameters for row in rows)
    shown.caption = f"{moving:,} of {total:,} parameters learn"
    return shown
