"""Evaluate a finished run: the numbers that its training printed, on any devices."""

import dataclasses
from pathlib import Path

from mmjax.devices import parallel
from mmjax.errors import UserError
from mmjax.evaluation.evaluator import Evaluator
from mmjax.runs import folder
from mmjax.runs.restore import restore


def evaluate(
    run: Path,
    split: str = "test",
    *,
    checkpoint: str = "last",
    data_dir: str | None = None,
    manual_dir: str | None = None,
) -> dict[str, float]:
    """The metrics of a split. The folders say where its data lies, if not where it lay in training.

    Data that is not prepared is prepared in the user's own folder, or in `data_dir`, and nowhere
    that only the run names.

    Raises:
        UserError: not a run, no such checkpoint or split.
        MissingFileError: the data is not prepared where the run says that it lies.
    """
    experiment = folder.require(run)
    moved = {"data_dir": data_dir, "manual_dir": manual_dir}
    moved = {name: path for name, path in moved.items() if path is not None}
    known = {field.name for field in dataclasses.fields(type(experiment.data))}
    if unknown := sorted(set(moved) - known):
        raise UserError(f"{unknown}: the data set of {run} takes none; it has {sorted(known)}")
    data = dataclasses.replace(experiment.data, **moved)
    experiment = dataclasses.replace(experiment, data=data)
    parallel.request_host_devices(experiment.batch_size, None)
    restored = restore(run, checkpoint)
    # Where a run that somebody else made says that files are to be written, none is written unless
    # the user asks for it.
    if not any(getattr(data, name, None) for name in {"data_dir", "report"} - set(moved)):
        data.prepare()
    chunk = folder.chunk(run)
    evaluator = Evaluator(experiment, restored.preprocessing, parallel.mesh_of(), chunk)
    return evaluator(restored.variables, split)
