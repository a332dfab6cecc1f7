"""Evaluates a finished run: the same metrics as after its training, on any devices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmjax.devices import parallel
from mmjax.evaluation.evaluator import Evaluator
from mmjax.evaluation.opened import open_run
from mmjax.runs import folder


def evaluate(
    run: Path,
    split: str = "test",
    *,
    checkpoint: str | int = "last",
    data_dir: str | None = None,
    manual_dir: str | None = None,
    variables: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """The metrics of a split: train, validation or test; other arguments as of `open_run`.

    `variables` are measured instead of the checkpoint's; they must have the same shapes.

    Raises:
        UserError: not a run, no such checkpoint or split.
        MissingFileError: the data are not prepared where the run names them.
    """
    opened = open_run(run, checkpoint, data_dir=data_dir, manual_dir=manual_dir)
    preprocessing, chunk = opened.restored.preprocessing, folder.chunk(run)
    evaluator = Evaluator(opened.experiment, preprocessing, parallel.mesh_of(), chunk)
    return evaluator(opened.restored.variables if variables is None else variables, split)
