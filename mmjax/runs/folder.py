"""A run's folder: whose it is, and what it was made with."""

import contextlib
import importlib.metadata
import os
import platform
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from mmjax.io import json_file
from mmjax.config import Experiment, storage
from mmjax.devices import parallel

CONFIG = "config.json"
ENVIRONMENT = "environment.json"
RESULTS = "results.json"
LOCK = ".lock"
PACKAGES = ("mmjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def check(run: Path, experiment: Experiment) -> None:
    """Refuse a folder that holds something else.

    Raises:
        ValueError: it holds another experiment (says what differs), or is not a run's at all.
    """
    if run.is_file():
        raise ValueError(f"{run}: is a file; choose a folder with --workdir")
    _require_closed(run)
    if not run.exists() or all(_unborn(path.name) for path in run.iterdir()):
        return
    if not (run / CONFIG).is_file():
        raise ValueError(
            f"{run}: holds other files and no {CONFIG}; choose a new or empty folder with --workdir"
        )
    theirs = storage.to_json(storage.load(run / CONFIG))
    different = list(storage.differences(storage.to_json(experiment), theirs))
    if different:
        lines = "\n  ".join(different)
        raise ValueError(
            f"{run} holds another experiment:\n  {lines}\n"
            "Nothing was changed. Choose another folder with --workdir."
        )


def _unborn(name: str) -> bool:
    """What a run leaves that was killed before it had written anything."""
    return name == LOCK or name.startswith(json_file.DRAFT)


def claim(run: Path, experiment: Experiment, say: Callable[[str], None]) -> None:
    """Write config.json and environment.json, or warn of what has changed since then."""
    run.mkdir(parents=True, exist_ok=True)
    now = environment(experiment)
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
    for name in ("python", "packages", "platform", "devices", "parallel", "cores"):
        if name in before and before[name] != now[name]:
            say(
                f"{name} changed from {before[name]} to {now[name]} since this run began: "
                "it goes on, but not bit for bit"
            )


def environment(experiment: Experiment) -> dict[str, Any]:
    """What the numbers of a run may depend on beside its configuration."""
    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": devices[0].device_kind,
        "devices": experiment.devices or len(devices),
        "parallel": experiment.parallel,
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
        ValueError: the folder is not a run's.
    """
    if not (run / CONFIG).is_file():
        raise ValueError(f"{run} is not a run: it has no {CONFIG}")
    _require_closed(run)
    return storage.load(run / CONFIG)


def _require_closed(run: Path) -> None:
    """ValueError for a link out of the folder, and for a pipe or a device.

    Somebody else may have made the run: whoever reads it, or goes on in it, would read or write
    through a link what is not the maker's, and would wait for ever for a pipe.
    """
    home = os.path.realpath(run)
    for parent, folders, files in os.walk(run):
        for path in (Path(parent, name) for name in (*folders, *files)):
            target = os.path.realpath(path)
            if path.is_symlink() and os.path.commonpath([home, target]) != home:
                raise ValueError(
                    f"{path}: leads out of the run's folder, to {target}; put a copy in its place, "
                    "or move the whole run and link to that"
                )
            with contextlib.suppress(FileNotFoundError):  # a training may go on here
                mode = path.stat().st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise ValueError(f"{path}: is neither a file nor a folder; remove it")
