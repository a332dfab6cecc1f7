"""A run's folder: whose it is, and what it was made with."""

import contextlib
import importlib.metadata
import math
import os
import platform
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from mmjax.config import Experiment, storage
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Binary
from mmjax.devices import parallel
from mmjax.errors import UserError
from mmjax.io import json_file

CONFIG = "config.json"
ENVIRONMENT = "environment.json"
RESULTS = "results.json"
LOCK = ".lock"
# A run that goes on with another one of these differs in last digits.
_ROUNDING = ("parallel", "accumulate", "buckets", "steps_per_call", "remat", "kernels")
_UNREADABLE = "[]*?\\"  # Orbax reads a path as a pattern
CHUNK = 128  # examples that runs of older versions evaluate per device and call
PACKAGES = ("mmjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def check(run: Path, experiment: Experiment) -> None:
    """Refuse a folder that holds something else.

    Raises:
        UserError: it holds another experiment (says what differs), or is not a run's at all.
    """
    if unreadable := sorted(set(_UNREADABLE) & set(str(run.absolute()))):
        raise UserError(
            f"{run.absolute()}: checkpoints in a folder whose path has {' '.join(unreadable)} "
            "cannot be read back; choose another --workdir"
        )
    if run.is_file():
        raise UserError(f"{run}: is a file; choose a folder with --workdir")
    _require_closed(run)
    if not run.exists() or all(_unborn(path.name) for path in run.iterdir()):
        return
    if not (run / CONFIG).is_file():
        raise UserError(
            f"{run}: holds other files and no {CONFIG}; choose a new or empty folder with --workdir"
        )
    theirs = storage.identity(storage.load(run / CONFIG))
    different = list(storage.differences(storage.identity(experiment), theirs))
    if different:
        lines = "\n  ".join(different)
        raise UserError(
            f"{run} holds another experiment:\n  {lines}\n"
            "Nothing was changed. Choose another folder with --workdir."
        )


def _unborn(name: str) -> bool:
    """What a run leaves that was killed before it had written anything."""
    return name == LOCK or name.startswith(json_file.DRAFT)


def claim(run: Path, experiment: Experiment, devices: int, say: Callable[[str], None]) -> None:
    """Write config.json and environment.json, or warn of what has changed since then.

    `devices`: how many share a batch.
    """
    run.mkdir(parents=True, exist_ok=True)
    now = environment(experiment, devices)
    if not (run / CONFIG).exists():
        storage.save(run / CONFIG, experiment)
    if not (run / ENVIRONMENT).exists():
        json_file.write(run / ENVIRONMENT, now)
    try:
        before = json_file.read(run / ENVIRONMENT)
    except ValueError as error:  # no number depends on it
        say(f"{error}\nIt is written anew: what has changed since this run began is not known")
        json_file.write(run / ENVIRONMENT, now)
        before = now
    for name in ("python", "packages", "platform", "devices", "cores", *_ROUNDING):
        if name in before and before[name] != now[name]:
            say(
                f"{name} changed from {before[name]} to {now[name]} since this run began: "
                "it goes on, but not bit for bit"
            )


def environment(experiment: Experiment, devices: int) -> dict[str, Any]:
    """What the numbers of a run may depend on beside its configuration."""
    compute = experiment.compute
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": jax.devices()[0].device_kind,
        "devices": devices,
        **{name: getattr(compute, name) for name in _ROUNDING},
        "evaluation_chunk": max(1, experiment.batch_size // (devices * compute.accumulate)),
        "cores": parallel.cores(),
        "seed": experiment.seed,
        "git_commit": _git_commit(),
        "command": [Path(sys.argv[0]).name, *map(_without_home, sys.argv[1:])],
    }


def _without_home(argument: str) -> str:
    """Also in `--workdir=/home/ada/run`; /home/adam is another's."""
    home = re.escape(str(Path.home()).rstrip("/"))
    return re.sub(rf"(?<![\w/]){home}(?=/|$)", "~", argument) if home else argument


def _git_commit() -> str | None:
    """The commit of the script that runs, or None where there is no git."""
    command = ["git", "-C", str(Path(sys.argv[0]).absolute().parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def require(run: Path) -> Experiment:
    """The experiment of a run's folder.

    Raises:
        UserError: the folder is not a run's.
    """
    if not (run / CONFIG).is_file():
        raise UserError(f"{run} is not a run: it has no {CONFIG}")
    _require_closed(run)
    return storage.load(run / CONFIG)


def preprocessing(run: Path, experiment: Experiment) -> Preprocessing | None:
    """The transforms that the run was begun with; None where it has none yet."""
    try:
        found = Preprocessing.load(run)
    except FileNotFoundError:
        return None
    if found.targets:
        return found
    # Runs of older formats have yes-or-no targets alone.
    names = [o.target for o in experiment.objectives.values() if o.target is not None]
    return Preprocessing(found.transforms, dict.fromkeys(names, Binary()))


def chunk(run: Path) -> int:
    """Examples that an evaluation of the run computes per device and call, on any devices."""
    try:
        found = json_file.read(run / ENVIRONMENT).get("evaluation_chunk", CHUNK)
    except (FileNotFoundError, UserError):
        return CHUNK
    return found if isinstance(found, int) and 0 < found <= 2**20 else CHUNK


def write_results(
    run: Path, step: int, params: Any, metrics: Mapping[str, float], seconds: float
) -> None:
    """Write results.json."""
    results = {
        "split": "test",
        "step": step,
        "parameters": sum(x.size for x in jax.tree.leaves(params)),
        "training_minutes": seconds / 60,
        "metrics": metrics,
    }
    json_file.write(run / RESULTS, results)


def results_of(run: Path, experiment: Experiment) -> dict[str, float] | None:
    """The test metrics of a run of this very experiment that has ended; None of any other."""
    if not (run / RESULTS).is_file():
        return None
    check(run, experiment)
    metrics = json_file.read(run / RESULTS)["metrics"]
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def _require_closed(run: Path) -> None:
    """UserError for a link out of the folder, and for a pipe or a device.

    Somebody else may have made the run: whoever reads it, or goes on in it, would read or write
    through a link what is not the maker's, and would wait for ever for a pipe.
    """
    home = os.path.realpath(run)
    for parent, folders, files in os.walk(run):
        for path in (Path(parent, name) for name in (*folders, *files)):
            target = os.path.realpath(path)
            if path.is_symlink() and os.path.commonpath([home, target]) != home:
                raise UserError(
                    f"{path}: leads out of the run's folder, to {target}; put a copy in its place, "
                    "or move the whole run and link to that"
                )
            with contextlib.suppress(FileNotFoundError):  # a training may go on here
                mode = path.stat().st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise UserError(f"{path}: is neither a file nor a folder; remove it")
