"""Several runs in one folder: seeds as one program, the points of a sweep one after the other."""

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mmjax.config import Experiment
from mmjax.config.sweep import Point
from mmjax.devices import cpu, parallel
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.runs import folder
from mmjax.statistics.means import LEVEL, spread
from mmjax.train.loop.fit import fit, fit_together

FILE = "trainings.json"
_LONGEST = 255  # bytes of a file name


class Finished(NamedTuple):
    """A finished run."""

    name: str  # of its folder
    values: Mapping[str, str]  # {path: value} of a sweep
    seed: int
    metrics: Mapping[str, float]  # of the test split


def fit_many(
    points: Sequence[Point], home: str | Path, *, seeds: int = 1, timeout: float | None = None
) -> list[Finished]:
    """Train every point of a sweep with `seeds` consecutive seeds; returns all results.

    Each run has a folder of its own in `home`. Several seeds of a point are one program: they use
    jit, keep two checkpoints or more, and are resumed from the newest step that all have saved.
    Finished runs are not trained again. `home/trainings.json` holds the metrics of all runs that
    were ever trained in the folder, and their means over seeds.

    Raises:
        UserError: the folder holds something else, or a configuration is invalid; see `fit`.
    """
    home = Path(home)
    _check(home, points, seeds)
    finished = []
    for number, point in enumerate(points, 1):
        if len(points) > 1:
            _say(f"training {number} of {len(points)}: {point.name}")
        trainings = [_training(point, seed, seeds, len(points)) for seed in range(seeds)]
        for (name, one), metrics in zip(trainings, _fit(trainings, home, timeout), strict=True):
            finished.append(Finished(name, point.values, one.seed, metrics))
        _summarise(home, finished)
    return finished


def _training(point: Point, number: int, seeds: int, points: int) -> tuple[str, Experiment]:
    """The name of a run's folder, and its experiment."""
    experiment = dataclasses.replace(point.experiment, seed=point.experiment.seed + number)
    if seeds == 1:
        return point.name, experiment
    # With two checkpoints all runs can go back to the same step, even if one has saved more.
    keeping = dataclasses.replace(experiment.keeping, keep=max(2, experiment.keeping.keep))
    compute = dataclasses.replace(experiment.compute, parallel="jit")
    name = ",".join(filter(None, (point.name if points > 1 else "", f"seed-{experiment.seed}")))
    return name, dataclasses.replace(experiment, compute=compute, keeping=keeping)


def _fit(
    trainings: Sequence[tuple[str, Experiment]], home: Path, timeout: float | None
) -> Sequence[Mapping[str, float]]:
    runs = [home / name for name, _ in trainings]
    experiments = [experiment for _, experiment in trainings]
    metrics = [folder.results_of(run, one) for run, one in zip(runs, experiments, strict=True)]
    finished = [values for values in metrics if values is not None]
    if len(finished) == len(runs):
        return finished
    if len(runs) == 1:
        return [fit(experiments[0], runs[0], timeout=timeout)]
    wanted = experiments[0].compute.devices
    cpu.request_host_devices(len(runs), wanted)
    mesh = parallel.mesh_of(_devices(len(runs), wanted))
    return fit_together(experiments, runs, home, mesh=mesh, timeout=timeout)


def _check(home: Path, points: Sequence[Point], seeds: int) -> None:
    if len(points) * seeds < 2:
        raise UserError("--seeds, --sweep: expected at least 2 trainings, got 1")
    longest = max(len(point.name.encode()) for point in points) + len(",seed-4294967295")
    if longest > _LONGEST:
        raise UserError(
            f"--sweep: the name of a run's folder, its values, would take {longest} bytes, of "
            f"which {_LONGEST} fit: sweep fewer paths at once"
        )
    if (home / folder.CONFIG).exists():
        raise UserError(f"{home}: holds the run of one training; choose another --workdir")
    if seeds == 1:
        return
    if jax.distributed.is_initialized():
        raise UserError("--seeds: in one process; not with --distributed")
    for compute in (point.experiment.compute for point in points):
        if compute.fsdp > 1:
            raise UserError("--seeds: a device holds whole states: not with --fsdp")
        if compute.buckets > 1:
            raise UserError("--seeds: batches have one length: not with --buckets")


def _devices(count: int, wanted: int | None) -> int:
    """The largest number of devices that divides the number of runs."""
    most = min(count, wanted or parallel.mesh_of().size)
    largest = max(number for number in range(1, most + 1) if count % number == 0)
    if wanted not in (None, largest):
        raise UserError(f"--devices: {wanted} do not divide {count} trainings; take {largest}")
    return largest


def _summarise(home: Path, finished: Sequence[Finished]) -> None:
    """Write trainings.json: these runs, and those that it held before."""
    rows: dict[str, dict[str, Any]] = {}
    if (home / FILE).exists():
        rows = {row["run"]: row for row in json_file.read(home / FILE)["runs"]}
    for name, values, seed, metrics in finished:
        row = {"run": name, "seed": seed, "values": dict(values), "metrics": dict(metrics)}
        rows[name] = row
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows.values():
        groups.setdefault(tuple(row["values"].items()), []).append(row["metrics"])
    points = [
        {"values": dict(values), "seeds": len(metrics), "summary": summary(metrics)}
        for values, metrics in groups.items()
    ]
    content = {"split": "test", "level": LEVEL, "runs": list(rows.values()), "points": points}
    json_file.write(home / FILE, content)


def summary(metrics: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, float]]:
    """{metric: its `spread` over the runs}, for the metrics that all runs have; None is NaN."""
    names = [name for name in metrics[0] if all(name in row for row in metrics)]
    values = {name: [row[name] for row in metrics] for name in names}
    return {
        name: spread([math.nan if value is None else value for value in column])
        for name, column in values.items()
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # what it is now, as where somebody has redirected it
