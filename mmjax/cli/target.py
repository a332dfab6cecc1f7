"""What a user points at: the folder of a run, or the file of an experiment."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from mmjax.config import Experiment
from mmjax.config.command_line import parse
from mmjax.data.preprocessing import Preprocessing
from mmjax.runs import folder


def load(target: Path, changes: Sequence[str] = ()) -> tuple[Experiment, Preprocessing]:
    """An experiment, changed as its own command line would, and the transforms of its data.

    The file of an experiment is run, as Python would to import it. Its data is prepared, if it is
    not yet; a run has its transforms with it and needs no data.

    Raises:
        ValueError: it is neither, the file has no experiment or several, or a run was to change.
        FileNotFoundError: there is nothing, or the data lacks its files.
    """
    if target.is_dir():
        if changes:
            raise ValueError(f"{target}: a run is as it is; describe its experiment's file instead")
        return folder.require(target), Preprocessing.load(target)
    if not target.exists():
        raise FileNotFoundError(f"{target}: expected a run's folder or an experiment's .py file")
    experiment, *_ = parse(_experiment(target), Path("runs") / target.stem, changes, str(target))
    experiment.data.prepare()
    return experiment, experiment.data.preprocessing()


def _experiment(path: Path) -> Experiment:
    """The one that the file calls `experiment`, or else the only one in it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: expected a run's folder or an experiment's .py file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # as for a script, which may import what lies beside it
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{path}:{error.lineno}: {error.msg}") from error
    finally:
        sys.path.remove(str(path.parent))
    found = {name: x for name, x in vars(module).items() if isinstance(x, Experiment)}
    if "experiment" in found:
        return found["experiment"]
    if len(found) != 1:
        raise ValueError(
            f"{path}: expected an mmjax.Experiment called `experiment`, got "
            f"{', '.join(sorted(found)) or 'none'}"
        )
    return next(iter(found.values()))
