"""The checkpoints that lie in a run's folder: read, and held against their fingerprints.

`<run>/checkpoints/<step>/` holds `variables` (what a model needs), `training` (what only a training
needs) and `record`: the step, the fingerprint of each array, and the progress of the training.
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
from mmjax.models.train_state import TrainState
from mmjax.runs import format_1
from mmjax.runs.fingerprint import changed, forms, misfits

FOLDER = "checkpoints"
DAMAGED = "damaged"  # a folder beside it
FORMAT = 2

Item = Literal["variables", "training"]


Placement = Sharding | Callable[[Any], Sharding]  # of all arrays, or of each


class DamagedError(UserError):
    """A checkpoint does not hold what was saved, or cannot be read at all."""


class MisfitError(UserError):
    """A checkpoint is whole, and of another model."""


def steps(run: Path) -> list[int]:
    """The steps of all finished checkpoints, ascending; whole or damaged."""
    # Orbax gives a checkpoint its name when it is finished.
    return sorted(int(path.name) for path in (run / FOLDER).glob("*") if path.name.isdecimal())


def record(run: Path, step: int) -> dict[str, Any]:
    """What was saved beside the arrays of a step.

    Raises:
        DamagedError: that is not what was saved.
        MisfitError: a later version wrote it.
    """
    path = _folder(run, step) / "record" / "metadata"
    try:
        content = json_file.read(path)
        later = content["format"] > FORMAT
        if content["step"] != step:
            raise UserError(f"{path}: is of step {content['step']}")
        for name in (*content["variables"], *content["training"]):
            if name.startswith("/"):  # Orbax would read it from there
                raise UserError(f"{path}: {name!r} leads out of the checkpoint")
    except FileNotFoundError as error:
        raise DamagedError(f"{path}: is missing") from error
    except ValueError as error:  # which names the file
        raise DamagedError(str(error)) from error
    except (NotADirectoryError, IsADirectoryError, KeyError, TypeError) as error:
        raise DamagedError(f"{path}: {error!r:.300}") from error
    if later:
        raise MisfitError(f"{path}: a later version of mmjax wrote it")
    if content["format"] == 1:
        content["progress"] = format_1.progress(content["progress"])
    return content


def best(run: Path, metric: str, mode: Literal["max", "min"]) -> int | None:
    """The step with the best validation metric; None where none was measured.

    Raises:
        DamagedError: a record cannot be read, and might be that of the best.
    """
    scores = {step: score(record(run, step)["metrics"], metric, mode) for step in steps(run)}
    found = max(scores, key=scores.__getitem__, default=None)
    return None if found is None or scores[found] == -math.inf else found


def score(metrics: Mapping[str, Any] | None, metric: str, mode: Literal["max", "min"]) -> float:
    """Higher is better; what was not measured, or is not defined (null, NaN), is worst."""
    value = (metrics or {}).get(metric)
    if value is None or math.isnan(value):
        return -math.inf
    return value if mode == "max" else -value


def arrays(run: Path, step: int, item: Item) -> dict[str, Any]:
    """One item of a step as NumPy arrays: needs no device and no model.

    Raises:
        DamagedError: it does not hold what was saved; names the file or folder.
    """
    path = _folder(run, step) / item
    expected = record(run, step)[item]
    with _reading(path), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
        tree = reader.metadata(path).item_metadata.tree
        if lines := misfits(tree, expected):
            raise DamagedError(f"{path}: " + "; ".join(lines))
        arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        found = reader.restore(path, args=ocp.args.PyTreeRestore(restore_args=arguments))
    _require_unchanged(path, found, expected)
    return format_1.renamed(found) if record(run, step)["format"] == 1 else found


def restore(
    run: Path, step: int, like: TrainState, sharding: Placement
) -> tuple[TrainState, dict[str, Any]]:
    """The state and the progress of a step, placed as `sharding` says, from whatever devices.

    Raises:
        MisfitError: the checkpoint is of another model than `like`; nothing is cast.
        DamagedError: it does not hold what was saved.
    """
    stored = record(run, step)
    place = (lambda _: sharding) if isinstance(sharding, Sharding) else sharding

    def item(name: Item, tree: dict[str, Any]) -> dict[str, Any]:
        path = _folder(run, step) / name
        if stored["format"] == 1:
            found = arrays(run, step, name)
            if lines := misfits(tree, forms(found)):
                raise MisfitError("\n  ".join([f"{path} does not fit this experiment:", *lines]))
            return format_1.filled(tree, found, place)
        if lines := misfits(tree, stored[name]):
            raise MisfitError("\n  ".join([f"{path} does not fit this experiment:", *lines]))
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place(x)), tree
        )
        arguments = ocp.checkpoint_utils.construct_restore_args(target)
        with _reading(path), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            found = reader.restore(
                path, args=ocp.args.PyTreeRestore(target, restore_args=arguments)
            )
        _require_unchanged(path, found, stored[name])
        return found

    variables = item("variables", like.variables)
    state = TrainState.of(variables, item("training", like.training))
    return state, stored["progress"]


def resumed(
    run: Path, like: TrainState, sharding: Placement, say: Callable[[str], None]
) -> tuple[int, TrainState, dict[str, Any]] | None:
    """Step, state and progress of the newest checkpoint that is whole; None if there is none.

    Raises:
        MisfitError: the newest whole checkpoint is of another model.
        DamagedError: there are checkpoints and all are damaged; one line for each.
    """
    reasons = {}
    for step in reversed(steps(run)):
        try:
            state, progress = restore(run, step, like, sharding)
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
    """Move what came after a step to `<run>/damaged`, so that a training can save there again."""
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
    """The newest step whose variables are what was saved; reads as many as it must."""
    for step in reversed(steps(run)):
        try:
            arrays(run, step, "variables")
        except DamagedError:
            continue
        return step
    return None


def _folder(run: Path, step: int) -> Path:
    return (run / FOLDER / str(step)).absolute()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a reader of foreign bytes stumbles over is damage; what the machine lacks is not."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)  # Orbax misses a file that only whole checkpoints have
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


def _require_unchanged(path: Path, tree: Any, expected: Mapping[str, Any]) -> None:
    if wrong := changed(tree, expected):
        named = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise DamagedError(f"{path}: the stored bytes are not those that were saved, of {named}")
