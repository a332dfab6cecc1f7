"""A finished run with its data at hand: what evaluations, reports and calibrations begin with."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, NamedTuple

from mmjax.config import Experiment
from mmjax.data.datasets import TableData
from mmjax.data.tables import prepared
from mmjax.devices import cpu
from mmjax.errors import UserError
from mmjax.runs import facts, folder
from mmjax.runs.restore import Restored, restore


class Opened(NamedTuple):
    """The experiment, whose data are prepared, and the restored model."""

    run: Path
    experiment: Experiment
    restored: Restored


def open_run(
    run: Path,
    checkpoint: str | int = "last",
    *,
    data_dir: str | None = None,
    manual_dir: str | None = None,
) -> Opened:
    """Open a run for an evaluation.

    Args:
        run: the folder of the run
        checkpoint: as in `restore`
        data_dir: where prepared data are or will be stored; by default as in the training
        manual_dir: where raw files are; by default as in the training

    Raises:
        UserError: not a run, no such checkpoint, or other data than in the training.
        MissingFileError: the data are not prepared where the run names them.
    """
    experiment = folder.require(run)
    moved = {"data_dir": data_dir, "manual_dir": manual_dir}
    moved: dict[str, Any] = {name: path for name, path in moved.items() if path is not None}
    known = {field.name for field in dataclasses.fields(type(experiment.data))}
    if unknown := sorted(set(moved) - known):
        raise UserError(f"{unknown}: the data set of {run} takes none; it has {sorted(known)}")
    if isinstance(experiment.data, TableData) and not prepared.is_home(experiment.data.prepared):
        moved["prepared"] = None  # nothing is written where only the run says so
    data = dataclasses.replace(experiment.data, **moved)
    experiment = dataclasses.replace(experiment, data=data)
    cpu.request_host_devices(experiment.batch_size, None)
    restored = restore(run, checkpoint)
    # Somebody else may have made the run: write nothing where only the run says so.
    if not any(getattr(data, name, None) for name in {"data_dir", "report"} - set(moved)):
        data.prepare()
    if facts.known(run) and (different := facts.changes(run, data.facts())):
        text = f"the data are not those that {run} was trained on: {'; '.join(different)}"
        if data_dir is None:
            raise UserError(f"{text}; --data-dir names the folder to evaluate on all the same")
        print(text, file=sys.stderr)
    return Opened(run, experiment, restored)
