"""Several runs in one folder: seeds as one program, the points of a sweep one after the other."""

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mmjax.config import Experiment
from mmjax.config.sweep import Point
from mmjax.devices import parallel
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.metrics.statistics import LEVEL, spread
from mmjax.runs import folder
from mmjax.train.loop.fit import fit, fit_together

FILE = "trainings.json"
_LONGEST = 255  # bytes of a file's name
_say = functools.partial(print, file=sys.stderr)


class Finished(NamedTuple):
    """A run of several: its folder's name, what it differs in, and its test metrics."""

    name: str
    values: Mapping[str, str]  # {path: value} of a sweep
    seed: int
    metrics: Mapping[str, float]


def fit_many(
    points: Sequence[Point], home: str | Path, *, seeds: int = 1, timeout: float | None = None
) -> list[Finished]:
    """Train every point of a sweep, each with the seeds from its own on; returns all results.

    Each is a run of its own in the folder `home`, restored and evaluated like any other. Several
    seeds of a point are one program (`parallel` is then jit, and an experiment keeps two
    checkpoints or more): they go on from the newest step that all have saved. A run that has its
    results is not trained again. `trainings.json` holds the metrics of all runs that were ever
    trained in the folder, and their means over seeds.

    Raises:
        UserError: the folder holds something else, or a configuration cannot be; see `fit`.
    """
    home = Path(home)
    _check(home, points, seeds)
    found = []
    for number, point in enumerate(points, 1):
        trainings = [_training(point, seed, seeds, len(points)) for seed in range(seeds)]
        if len(points) > 1:
            _say(f"training {number} of {len(points)}: {point.name}")
        found += _fit_point(point, trainings, home, timeout)
        _summarise(home, found)
    return found


def _training(point: Point, number: int, seeds: int, points: int) -> tuple[str, Experiment]:
    """The name of a run's folder, and its experiment."""
    experiment = dataclasses.replace(point.experiment, seed=point.experiment.seed + number)
    if seeds == 1:
        return point.name, experiment
    # One checkpoint may be newer than those of the others: two let all go back to the same.
    keeping = dataclasses.replace(experiment.keeping, keep=max(2, experiment.keeping.keep))
    compute = dataclasses.replace(experiment.compute, parallel="jit")
    name = ",".join(filter(None, (point.name if points > 1 else "", f"seed-{experiment.seed}")))
    return name, dataclasses.replace(experiment, compute=compute, keeping=keeping)


def _fit_point(
    point: Point,
    trainings: Sequence[tuple[str, Experiment]],
    home: Path,
    timeout: float | None,
) -> list[Finished]:
    runs = [home / name for name, _ in trainings]
    experiments = [experiment for _, experiment in trainings]
    metrics = [folder.results_of(run, one) for run, one in zip(runs, experiments, strict=True)]
    if None in metrics and len(runs) == 1:
        metrics = [fit(experiments[0], runs[0], timeout=timeout)]
    elif None in metrics:
        parallel.request_host_devices(len(runs), experiments[0].compute.devices)
        mesh = parallel.mesh_of(_devices(len(runs), experiments[0].compute.devices))
        metrics = fit_together(experiments, runs, home, mesh=mesh, timeout=timeout)
    return [
        Finished(name, point.values, experiment.seed, found or {})
        for (name, experiment), found in zip(trainings, metrics, strict=True)
    ]


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
    for point in points:
        compute = point.experiment.compute
        if compute.fsdp > 1:
            raise UserError("--seeds: a device holds whole states: not with --fsdp")
        if compute.buckets > 1:
            raise UserError("--seeds: batches have one length: not with --buckets")
        if compute.kernels != "xla":
            raise UserError("--seeds: JAX has no vmap of cuDNN's LSTM: --kernels xla")


def _devices(count: int, wanted: int | None) -> int:
    """The most devices that can have equally many runs each."""
    most = min(count, wanted or parallel.mesh_of().size)
    found = max(number for number in range(1, most + 1) if count % number == 0)
    if wanted not in (None, found):
        raise UserError(f"--devices: {wanted} do not divide {count} trainings; take {found}")
    return found


def _summarise(home: Path, found: Sequence[Finished]) -> None:
    """Write trainings.json: these runs, and those that were there before."""
    rows: dict[str, dict[str, Any]] = {}
    if (home / FILE).exists():
        rows = {row["run"]: row for row in json_file.read(home / FILE)["runs"]}
    for run in found:
        rows[run.name] = {
            "run": run.name,
            "seed": run.seed,
            "values": dict(run.values),
            "metrics": dict(run.metrics),
        }
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows.values():
        groups.setdefault(tuple(row["values"].items()), []).append(row)
    points = [
        {
            "values": dict(values),
            "seeds": len(group),
            "summary": summary([r["metrics"] for r in group]),
        }
        for values, group in groups.items()
    ]
    content = {"split": "test", "level": LEVEL, "runs": list(rows.values()), "points": points}
    json_file.write(home / FILE, content)


def summary(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """{metric: mean, and for several seeds standard deviation and interval of the mean}."""
    names = [name for name in metrics[0] if all(name in row for row in metrics)]
    return {name: spread([_number(row[name]) for row in metrics]) for name in names}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value  # JSON has no NaN
