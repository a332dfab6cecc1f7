"""Evaluates a finished run: the same metrics as after its training, on any devices."""

from pathlib import Path

from mmjax.devices import parallel
from mmjax.evaluation.evaluator import Evaluator
from mmjax.evaluation.opened import open_run
from mmjax.runs import folder


def evaluate(
    run: Path,
    split: str = "test",
    *,
    checkpoint: str = "last",
    data_dir: str | None = None,
    manual_dir: str | None = None,
) -> dict[str, float]:
    """The metrics of a split: train, validation or test; other arguments as of `open_run`.

    Raises:
        UserError: not a run, no such checkpoint or split.
        MissingFileError: the data are not prepared where the run names them.
    """
    opened = open_run(run, checkpoint, data_dir=data_dir, manual_dir=manual_dir)
    preprocessing, chunk = opened.restored.preprocessing, folder.chunk(run)
    evaluator = Evaluator(opened.experiment, preprocessing, parallel.mesh_of(), chunk)
    return evaluator(opened.restored.variables, split)
