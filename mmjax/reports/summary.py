"""Several finished runs in one table: mean and spread over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.config import storage
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.runs import folder
from mmjax.statistics.means import spread


def summarise(runs: Sequence[Path], metric: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table of a test metric. Runs that differ only in their seed share a row.

    The first columns are the fields in which the runs differ; std is the standard deviation over
    seeds (n - 1). Folders without a run are ignored.

    Raises:
        UserError: there is no run, or a run has no results yet or no such metric.
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
    names = sorted({name for config in configs for name in config} - {"seed"})
    # A field that only some runs have belongs to a type, which is a column itself.
    varying = [n for n in names if len({repr(c[n]) for c in configs if n in c}) > 1]
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for config, result in zip(configs, results, strict=True):
        groups.setdefault(tuple(str(config.get(n, "")) for n in varying), []).append(result)
    rows = []
    for key, group in groups.items():
        values = np.array([result["metrics"][metric] for result in group], float)  # null: NaN
        of = spread(values.tolist())
        std = f"{of['std']:.4f}" if "std" in of else "-"
        minutes = np.mean([result["training_minutes"] for result in group])
        rows.append(
            [*key, str(len(group)), f"{of['mean']:.4f}", std]
            + [f"{values.min():.4f}", f"{minutes:.1f}", f"{group[0]['parameters']:,}"]
        )
    header = [*varying, "seeds", metric, "std", "lowest", "minutes", "parameters"]
    return header, rows


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of every leaf of a JSON object."""
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, item in value.items():
        yield from _leaves(item, f"{path}.{key}" if path else key)
