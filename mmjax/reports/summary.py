"""Several finished runs in one table: mean and spread over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.config import storage
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.runs import folder


def summarise(runs: Sequence[Path], metric: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows. Runs that differ in nothing but the seed share a row.

    The spread is the standard deviation over seeds (n - 1). Columns show what differs.

    Raises:
        UserError: there is no run, a run has no results yet, or its results have no such metric.
    """
    if not runs:
        raise UserError("name at least one run's folder")
    runs = [run for run in runs if (run / folder.CONFIG).is_file()] or list(runs[:1])
    configs, results = [], []
    for run in runs:
        configs.append(dict(_leaves(storage.identity(folder.require(run)))))
        if not (run / folder.RESULTS).is_file():
            raise UserError(f"{run} has no {folder.RESULTS}: its training has not ended")
        results.append(json_file.read(run / folder.RESULTS))
        if metric not in results[-1]["metrics"]:
            choices = sorted(results[-1]["metrics"])
            raise UserError(f"{run}: no metric {metric!r}; choose from {choices}")
    every = sorted({key for config in configs for key in config} - {"seed"})
    # A field that only some have goes with a type, which is shown.
    varying = [key for key in every if len({repr(c[key]) for c in configs if key in c}) > 1]
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for config, result in zip(configs, results, strict=True):
        groups.setdefault(tuple(str(config.get(key, "")) for key in varying), []).append(result)
    rows = []
    for key, group in groups.items():
        values = np.array([result["metrics"][metric] for result in group], float)  # null: NaN
        spread = f"{values.std(ddof=1):.4f}" if len(values) > 1 else "-"
        minutes = np.mean([result["training_minutes"] for result in group])
        rows.append(
            [*key, str(len(group)), f"{values.mean():.4f}", spread]
            + [f"{values.min():.4f}", f"{minutes:.1f}", f"{group[0]['parameters']:,}"]
        )
    header = [*varying, "seeds", metric, "std", "lowest", "minutes", "parameters"]
    return header, rows


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, literal) of every leaf of a JSON object."""
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, item in value.items():
        yield from _leaves(item, f"{path}.{key}" if path else key)
