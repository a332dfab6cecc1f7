"""Reads the checkpoints in a run's folder and verifies them against their fingerprints.

`<run>/checkpoints/<step>/` holds `variables` (all that a model needs), `training` (the rest of the
training state) and `record`: step, progress, metrics, and a fingerprint of each array.
"""

import contextlib
import logging
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Sharding

from mmjax.devices.failure import first_line
from mmjax.errors import StorageError, UserError
from mmjax.io import json_file
from mmjax.layers.tracing.paths import path_of
from mmjax.models.train_state import TrainState
from mmjax.runs import migrations
from mmjax.runs.fingerprint import changed, forms, misfits

FOLDER = "checkpoints"
DAMAGED = "damaged"  # folder for damaged checkpoints, beside FOLDER
FORMAT = 3

Item = Literal["variables", "training"]
Mode = Literal["max", "min"]


class DamagedError(UserError):
    """A checkpoint differs from what was saved, or cannot be read."""


class MisfitError(UserError):
    """An intact checkpoint belongs to another model."""


def steps(run: Path) -> list[int]:
    """The steps of all finished checkpoints, ascending; intact or damaged."""
    # Orbax renames a checkpoint to its step when it is finished.
    return sorted(int(path.name) for path in (run / FOLDER).glob("*") if path.name.isdecimal())


def record(run: Path, step: int) -> dict[str, Any]:
    """The record of a step: what was saved beside the arrays.

    Raises:
        DamagedError: the record is damaged or missing.
        MisfitError: a later version of mmjax wrote it.
    """
    path = _folder(run, step) / "record" / "metadata"
    try:
        content = json_file.read(path)
        later = content["format"] > FORMAT
        if content["step"] != step:
            raise UserError(f"{path}: is of step {content['step']}")
        for name in (*content["variables"], *content["training"]):
            if name.startswith("/"):  # Orbax would read this path
                raise UserError(f"{path}: {name!r} leads out of the checkpoint")
    except FileNotFoundError as error:
        raise DamagedError(f"{path}: is missing") from error
    except ValueError as error:  # names the file
        raise DamagedError(str(error)) from error
    except (NotADirectoryError, IsADirectoryError, KeyError, TypeError) as error:
        raise DamagedError(f"{path}: {error!r:.300}") from error
    if later:
        raise MisfitError(f"{path}: a later version of mmjax wrote it")
    if content["format"] == 1:
        content["progress"] = migrations.progress(content["progress"])
    return content


def best(run: Path, metric: str, mode: Mode) -> int | None:
    """The step with the best validation metric; None where it was never measured.

    Raises:
        DamagedError: the record of a step cannot be read; it might be the best.
    """
    scores = {step: score(record(run, step)["metrics"], metric, mode) for step in steps(run)}
    step = max(scores, key=scores.__getitem__, default=None)
    return None if step is None or scores[step] == -math.inf else step


def score(metrics: Mapping[str, Any] | None, metric: str, mode: Mode) -> float:
    """The metric, higher is better; -infinity where it is missing or NaN."""
    value = (metrics or {}).get(metric)
    if value is None or math.isnan(value):
        return -math.inf
    return value if mode == "max" else -value


def arrays(run: Path, step: int, item: Item) -> dict[str, Any]:
    """One item of a step as NumPy arrays.

    Raises:
        DamagedError: the arrays are not those that were saved; names the file or folder.
    """
    path = _folder(run, step) / item
    stored = record(run, step)
    with _reading(path), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
        tree = reader.metadata(path).item_metadata.tree
        if lines := misfits(tree, stored[item]):
            raise DamagedError(f"{path}: " + "; ".join(lines))
        arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        content = reader.restore(path, args=ocp.args.PyTreeRestore(restore_args=arguments))
    if wrong := changed(content, stored[item]):
        named = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise DamagedError(f"{path}: the stored bytes are not those that were saved, of {named}")
    return content if stored["format"] == FORMAT else migrations.arrays(content, stored["format"])


def restore(
    run: Path, step: int, like: TrainState, place: Callable[[Any], Sharding]
) -> tuple[TrainState, dict[str, Any]]:
    """The state and the progress of a step; each array with the sharding that `place` gives it.

    Raises:
        MisfitError: shapes or types differ from those of `like`; nothing is cast.
        DamagedError: the checkpoint is damaged.
    """

    def item(name: Item, tree: dict[str, Any]) -> dict[str, Any]:
        content = arrays(run, step, name)
        if lines := misfits(tree, forms(content)):
            path = _folder(run, step) / name
            raise MisfitError("\n  ".join([f"{path} does not fit this experiment:", *lines]))
        by_path = {path_of(keys): x for keys, x in jax.tree_util.tree_leaves_with_path(content)}

        def placed(keys: Any, x: Any) -> jax.Array:
            # Every process reads the file: nothing is communicated.
            return jax.make_array_from_callback(
                x.shape, place(x), by_path[path_of(keys)].__getitem__
            )

        return jax.tree_util.tree_map_with_path(placed, tree)

    variables = item("variables", like.variables)
    state = TrainState.of(variables, item("training", like.training))
    return state, record(run, step)["progress"]


def resumed(
    run: Path, like: TrainState, place: Callable[[Any], Sharding], say: Callable[[str], None]
) -> tuple[int, TrainState, dict[str, Any]] | None:
    """Step, state and progress of the newest intact checkpoint; None if there is no checkpoint.

    Raises:
        MisfitError: the newest intact checkpoint is of another model.
        DamagedError: every checkpoint is damaged; one line for each.
    """
    reasons = {}
    for step in reversed(steps(run)):
        try:
            state, progress = restore(run, step, like, place)
        except DamagedError as error:
            reasons[step] = error
            continue
        for damaged, reason in reasons.items():
            say(f"checkpoint {damaged} is damaged: {reason}\n  going back to step {step}")
        return step, state, progress
    if reasons:
        raise DamagedError(
            "\n  ".join([f"{run}: every checkpoint is damaged:", *map(str, reasons.values())])
            + "\nNothing was changed. Restore the folder from a copy, or choose another --workdir."
        )
    return None


def set_aside(run: Path, step: int) -> list[Path]:
    """Move later checkpoints to `<run>/damaged`, so that training can save these steps again."""
    moved = []
    for later in (number for number in steps(run) if number > step):
        folder = run / DAMAGED / str(later)
        number = 1
        while folder.exists():
            number += 1
            folder = folder.with_name(f"{later}-{number}")
        folder.parent.mkdir(exist_ok=True)
        shutil.move(_folder(run, later), folder)
        moved.append(folder)
    return moved


def newest_whole(run: Path) -> int | None:
    """The newest step whose variables are intact."""
    for step in reversed(steps(run)):
        with contextlib.suppress(DamagedError):
            arrays(run, step, "variables")
            return step
    return None


def _folder(run: Path, step: int) -> Path:
    return (run / FOLDER / str(step)).absolute()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Any error while reading is damage, unless the machine lacks permission or memory."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)  # Orbax warns of a file that only whole checkpoints have
    try:
        yield
    except (DamagedError, MemoryError):
        raise
    except Exception as error:
        text = first_line(error)
        lacking = ("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "Too many open files")
        if isinstance(error, PermissionError) or any(word in text for word in lacking):
            raise StorageError(f"{path}: cannot be read: {text}") from error
        raise DamagedError(f"{path}: cannot be read: {text}") from error
    finally:
        logger.setLevel(level)
