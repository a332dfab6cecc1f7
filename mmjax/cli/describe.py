"""`mmjax describe`: modules, costs and memory of a model before it trains."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mmjax.cli import options, tables
from mmjax.errors import MissingFileError, UserError

if TYPE_CHECKING:
    from mmjax.config import Experiment
    from mmjax.data.preprocessing import Preprocessing

Target = Annotated[
    Path, tyro.conf.Positional, tyro.conf.arg(help="a run's folder, or an experiment's .py file")
]
Changes = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(help="choices and, after --, flags of the experiment: model.fusion:mult"),
]


def describe(
    target: Target,
    changes: Changes = (),
    /,
    memory: bool = True,
    worth: bool = False,
    own: options.Own = (),
    json: bool = False,
    csv: bool = False,
) -> None:
    """Show a model before it trains: modules, shapes, parameters, operations and memory.

    Args:
        memory: compile the training and evaluation steps to find out how much memory they need
        worth: of a finished run: what each modality costs and brings, by Shapley values
        json: print one JSON object instead of a table
        csv: print the modules as CSV instead; with --worth the modalities
    """
    from mmjax.reports.describe import describe as measure
    from mmjax.reports.worth import worth_by_cost, worth_table

    tables.require_one(json, csv)
    options.prepare_process(own)
    if worth and not target.is_dir():
        raise UserError(f"--worth: expected the folder of a finished run, got {target}")
    experiment, preprocessing = load(target, changes)
    description = measure(experiment, preprocessing, memory=memory)
    rows = worth_by_cost(target, description, experiment.model) if worth else []
    if csv:
        tables.print_rows([row._asdict() for row in rows or description.parts])
        return
    if json:
        parts = [part._asdict() for part in description.parts]
        more = {"worth": [row._asdict() for row in rows]} if worth else {}
        tables.print_json(dataclasses.asdict(description) | {"parts": parts} | more)
        return
    tables.show(description.table())
    print("\n".join(description.memory()))
    if worth:
        tables.show(worth_table(rows))


def load(target: Path, changes: Sequence[str] = ()) -> "tuple[Experiment, Preprocessing]":
    """The experiment and preprocessing of a run's folder or of an experiment's file.

    The file is executed, and its data are prepared if necessary. `changes`: arguments as on the
    command line of the file.

    Raises:
        UserError: the target is neither, the file has no experiment or several, or a run has
            `changes`.
        MissingFileError: there is no target, or files of the data are missing.
    """
    from mmjax.config.command_line import parse
    from mmjax.runs import folder

    if target.is_dir():
        if changes:
            raise UserError(f"{target}: a run is as it is; describe its experiment's file instead")
        experiment = folder.require(target)
        preprocessing = folder.preprocessing(target, experiment)
        if preprocessing is None:
            raise MissingFileError(f"{target}: the run has no preprocessing.json yet")
        return experiment, preprocessing
    if not target.exists():
        raise MissingFileError(f"{target}: expected a run's folder or an experiment's .py file")
    command = parse(options.experiment_of(target), Path("runs") / target.stem, changes, str(target))
    experiment = command.points[0].experiment
    experiment.data.prepare()
    return experiment, experiment.data.preprocessing()
