"""`mmjax prepare`: the data of an experiment, built on disk before anything is trained."""

from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import options

File = Annotated[
    Path, tyro.conf.Positional, tyro.conf.arg(help="an experiment's script; it is executed")
]
Arguments = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(help="arguments of the script after --, such as -- --data.file rows.csv"),
]


def prepare(experiment: File, arguments: Arguments = (), /, workers: int = 0) -> None:
    """Build the data of an experiment on disk: shards that trainings read as they need them.

    A table is written even if it fits into memory. What was interrupted goes on where it stopped.

    Args:
        workers: processes that read and write; 0: as many threads as cores
    """
    from mmjax.cli import tables
    from mmjax.config.command_line import parse
    from mmjax.data.datasets import TableData
    from mmjax.runs import facts
    from mmjax.train.loop.preparation import bound

    options.prepare_process()
    made = options.experiment_of(experiment)
    command = parse(made, Path("runs"), list(arguments), f"The data of {experiment}.")
    for point in command.points:
        data = bound([point.experiment])[0].data
        if isinstance(data, TableData):
            data.prepare(workers=workers, on_disk=True)
        else:
            data.prepare()
        tables.show(facts.table(data.facts()))
