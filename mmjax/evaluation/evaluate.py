"""Evaluate a finished run: the numbers that its training printed, on any devices."""

import dataclasses
from pathlib import Path

from mmjax.evaluation.restore import restore
from mmjax.train import folder, parallel
from mmjax.train.evaluator import Evaluator


def evaluate(
    run: Path,
    split: str = "test",
    *,
    checkpoint: str = "last",
    data_dir: str | None = None,
    manual_dir: str | None = None,
) -> dict[str, float]:
    """The metrics of a split. The folders say where its data lies, if not where it lay in training.

    Raises:
        ValueError: not a run, no such checkpoint or split.
    """
    experiment = folder.require(run)
    moved = {"data_dir": data_dir, "manual_dir": manual_dir}
    moved = {name: path for name, path in moved.items() if path is not None}
    known = {field.name for field in dataclasses.fields(type(experiment.data))}
    if unknown := sorted(set(moved) - known):
        raise ValueError(f"{unknown}: the data set of {run} takes none; it has {sorted(known)}")
    data = dataclasses.replace(experiment.data, **moved)
    experiment = dataclasses.replace(experiment, data=data)
    parallel.request_host_devices(experiment.batch_size, None)
    restored = restore(run, checkpoint)
    data.prepare()
    evaluator = Evaluator(experiment, restored.preprocessing, parallel.mesh_of())
    return evaluator(restored.variables, split)
