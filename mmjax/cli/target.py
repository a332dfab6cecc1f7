"""What a user points at: the folder of a run, or the file of an experiment."""

from collections.abc import Sequence
from pathlib import Path

from mmjax.cli.options import load_file
from mmjax.config import Experiment
from mmjax.config.command_line import parse
from mmjax.data.preprocessing import Preprocessing
from mmjax.errors import MissingFileError, UserError
from mmjax.runs import folder


def load(target: Path, changes: Sequence[str] = ()) -> tuple[Experiment, Preprocessing]:
    """An experiment, changed as its own command line would, and the transforms of its data.

    The file of an experiment is run, as Python would to import it. Its data is prepared, if it is
    not yet; a run has its transforms with it and needs no data.

    Raises:
        UserError: it is neither, the file has no experiment or several, or a run was to change.
        MissingFileError: there is nothing, or the data lacks its files.
    """
    if target.is_dir():
        if changes:
            raise UserError(f"{target}: a run is as it is; describe its experiment's file instead")
        experiment = folder.require(target)
        found = folder.preprocessing(target, experiment)
        if found is None:
            raise MissingFileError(f"{target}: the run has no preprocessing.json yet")
        return experiment, found
    if not target.exists():
        raise MissingFileError(f"{target}: expected a run's folder or an experiment's .py file")
    command = parse(_experiment(target), Path("runs") / target.stem, changes, str(target))
    experiment = command.points[0].experiment
    experiment.data.prepare()
    return experiment, experiment.data.preprocessing()


def _experiment(path: Path) -> Experiment:
    """The one that the file calls `experiment`, or else the only one in it."""
    found = {n: x for n, x in vars(load_file(path)).items() if isinstance(x, Experiment)}
    if "experiment" in found:
        return found["experiment"]
    if len(found) != 1:
        raise UserError(
            f"{path}: expected an mmjax.Experiment called `experiment`, got "
            f"{', '.join(sorted(found)) or 'none'}"
        )
    return next(iter(found.values()))
