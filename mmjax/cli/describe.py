"""`mmjax describe`: a model before it trains."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import options, tables

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
    own: options.Own = (),
    json: bool = False,
) -> None:
    """Show a model before it trains: modules, shapes, parameters, operations and memory.

    Args:
        memory: compile evaluation and the training step to see how much memory they take
        json: print one JSON object instead of a table
    """
    from mmjax.cli.target import load
    from mmjax.reports.describe import describe as measure

    options.prepare_process()
    options.load_own(own)
    found = measure(*load(target, changes), memory=memory)
    if json:
        parts = [part._asdict() for part in found.parts]
        tables.print_json(dataclasses.asdict(found) | {"parts": parts})
        return
    tables.show(found.table())
    print("\n".join(found.memory()))
