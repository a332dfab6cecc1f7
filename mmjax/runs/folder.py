"""The folder of a run: which experiment it belongs to, and what it was made with."""

import contextlib
import importlib.metadata
import math
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from mmjax.config import Experiment, storage
from mmjax.config.privacy import hide_home
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Binary
from mmjax.devices import cpu
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.runs import budget, facts

CONFIG = "config.json"
ENVIRONMENT = "environment.json"
RESULTS = "results.json"
LOCK = ".lock"
# Fields of `compute` that change the last digits of a run.
_ROUNDING = ("parallel", "accumulate", "buckets", "steps_per_call", "remat")
_UNREADABLE = "[]*?\\"  # Orbax reads a path as a pattern
CHUNK = 128  # examples per device and call in evaluations of runs by older versions
PACKAGES = ("mmjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def check(run: Path, experiment: Experiment) -> None:
    """Check that a folder is new, empty, or holds a run of this experiment.

    Raises:
        UserError: it holds another experiment (names the differences), or other files.
    """
    if unreadable := sorted(set(_UNREADABLE) & set(str(run.absolute()))):
        raise UserError(
            f"{run.absolute()}: checkpoints in a folder whose path has {' '.join(unreadable)} "
            "cannot be read back; choose another --workdir"
        )
    if run.is_file():
        raise UserError(f"{run}: is a file; choose a folder with --workdir")
    _require_closed(run)
    names = [path.name for path in run.iterdir()] if run.exists() else []
    # A run that was killed before it wrote anything leaves a lock and drafts.
    if all(name == LOCK or name.startswith(json_file.DRAFT) for name in names):
        return
    if CONFIG not in names:
        raise UserError(
            f"{run}: holds other files and no {CONFIG}; choose a new or empty folder with --workdir"
        )
    theirs = storage.identity(storage.load(run / CONFIG))
    if different := list(storage.differences(storage.identity(experiment), theirs)):
        lines = "\n  ".join(different)
        raise UserError(
            f"{run} holds another experiment:\n  {lines}\n"
            "Nothing was changed. Choose another folder with --workdir; with "
            f"--init {run} it starts there from what this run has learned."
        )


def claim(run: Path, experiment: Experiment, devices: int, say: Callable[[str], None]) -> None:
    """Write config.json and environment.json, or report what has changed since then.

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
    except ValueError as error:  # results do not depend on this file
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
    """What the results of a run may depend on, beside its configuration."""
    compute = experiment.compute
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": jax.devices()[0].device_kind,
        "devices": devices,
        **{name: getattr(compute, name) for name in _ROUNDING},
        "evaluation_chunk": max(1, experiment.batch_size // (devices * compute.accumulate)),
        "cores": cpu.cores(),
        "seed": experiment.seed,
        "git_commit": _git_commit(),
        "command": [Path(sys.argv[0]).name, *map(hide_home, sys.argv[1:])],
    }


def _git_commit() -> str | None:
    """The git commit of the script that is running; None if there is none."""
    command = ["git", "-C", str(Path(sys.argv[0]).absolute().parent), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def require(run: Path) -> Experiment:
    """The experiment of a run; UserError if the folder is not a run."""
    if not (run / CONFIG).is_file():
        if (sealed := run.with_name(f"{run.name}.enc")).is_file() and not run.exists():
            raise UserError(f"{run} is encrypted: mmjax decrypt {sealed} -o {run} --key KEYFILE")
        raise UserError(f"{run} is not a run: it has no {CONFIG}")
    _require_closed(run)
    return storage.load(run / CONFIG)


def preprocessing(run: Path, experiment: Experiment) -> Preprocessing | None:
    """The preprocessing that the run began with; None if it has not begun."""
    try:
        stored = Preprocessing.load(run)
    except FileNotFoundError:
        return None
    if stored.targets:
        return stored
    # Older formats have binary targets only, and do not store them.
    names = [o.target for o in experiment.objectives.values() if o.target is not None]
    return Preprocessing(stored.transforms, dict.fromkeys(names, Binary()))


def chunk(run: Path) -> int:
    """Examples per device and call in evaluations of the run, on any number of devices."""
    try:
        size = json_file.read(run / ENVIRONMENT).get("evaluation_chunk", CHUNK)
    except (FileNotFoundError, UserError):
        return CHUNK
    return size if isinstance(size, int) and 0 < size <= 2**20 else CHUNK


def write_results(
    run: Path,
    step: int,
    params: Any,
    metrics: Mapping[str, float],
    seconds: float,
    compute: Mapping[str, Any],
) -> None:
    """Write results.json; `compute` is what the training cost."""
    results = {
        "split": "test",
        "step": step,
        "parameters": sum(x.size for x in jax.tree.leaves(params)),
        "training_minutes": seconds / 60,
        "compute": compute,
        "metrics": metrics,
    }
    if changed := facts.changed_since(run):
        results["data_changed"] = changed
    if (run / budget.FILE).is_file():
        results["privacy"] = json_file.read(run / budget.FILE)
    json_file.write(run / RESULTS, results)


def results_of(run: Path, experiment: Experiment) -> dict[str, float] | None:
    """The test metrics of a finished run of this experiment; None if it is not finished."""
    if not (run / RESULTS).is_file():
        return None
    check(run, experiment)
    metrics = json_file.read(run / RESULTS)["metrics"]
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def _require_closed(run: Path) -> None:
    """UserError for links that leave the folder, pipes and devices: others may have made the run.

    A link would let the run read or overwrite the user's files; a pipe would block its reader.
    """
    root = os.path.realpath(run)
    for parent, folders, files in os.walk(run):
        for path in (Path(parent, name) for name in (*folders, *files)):
            target = os.path.realpath(path)
            if path.is_symlink() and os.path.commonpath([root, target]) != root:
                raise UserError(
                    f"{path}: leads out of the run's folder, to {target}; put a copy in its place, "
                    "or move the whole run and link to that"
                )
            with contextlib.suppress(FileNotFoundError):  # a training may be running here
                mode = path.stat().st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise UserError(f"{path}: is neither a file nor a folder; remove it")
