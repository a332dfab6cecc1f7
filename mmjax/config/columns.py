"""`--data.columns image:image caption:text age,bmi:table`: the columns of a table, by kind."""

import dataclasses
import re
from collections.abc import Sequence

from mmjax.config.experiment import Experiment
from mmjax.data.datasets import TableData
from mmjax.data.tables.columns import COLUMNS, Column
from mmjax.errors import UserError

FLAG = "--data.columns"
# Other names for what one class reads: tar and array_record shards are tables, DICOM is a picture.
_SHARDS = "data:shards"
_ALSO = {"dicom": "image"}
_SPEC = re.compile(r"(?:(?P<name>[^=:]+)=)?(?P<columns>[^:]+):(?P<kind>[a-zA-Z_-]+)")


def taken(experiment: Experiment, arguments: Sequence[str]) -> tuple[Experiment, list[str]]:
    """The experiment with the columns that the arguments say, and the other arguments.

    Raises:
        UserError: a column without a known kind, or twice.
    """
    rest, specs, said = [], [], False
    arguments = ["data:table" if argument == _SHARDS else argument for argument in arguments]
    for argument in arguments:
        if argument == FLAG:
            said = True
        elif said and _SPEC.fullmatch(argument) and argument.partition(":")[0] != "data":
            specs.append(argument)
        else:
            said = False
            rest.append(argument)
    if FLAG not in arguments:
        return experiment, rest
    if "data:table" not in rest and not isinstance(experiment.data, TableData):
        raise UserError(f"{FLAG}: goes with data:table")
    data = experiment.data if isinstance(experiment.data, TableData) else TableData()
    data = dataclasses.replace(data, columns=parsed(specs))
    return dataclasses.replace(experiment, data=data), rest


def parsed(specs: Sequence[str]) -> dict[str, Column]:
    """The columns of texts such as `image:image` or `picture=file_name:image`.

    Several columns, `age,bmi:table`, are called like their kind unless a name is given.
    """
    columns: dict[str, Column] = {}
    if not specs:
        raise UserError(f"{FLAG}: expected COLUMN:KIND, such as image:image caption:text, got none")
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        kind = match["kind"].lower().replace("-", "_") if match else ""
        kind = _ALSO.get(kind, kind)
        if match is None or kind not in COLUMNS:
            raise UserError(
                f"{FLAG} {spec}: expected COLUMN:KIND or NAME=COLUMN:KIND; the kinds are "
                f"{', '.join(COLUMNS)}"
            )
        names = tuple(match["columns"].split(","))
        if len(names) > 1 and kind != "table":
            raise UserError(f"{FLAG} {spec}: only a table is made of several columns")
        name = match["name"] or (names[0] if len(names) == 1 else kind)
        if name in columns:
            raise UserError(f"{FLAG}: {name!r} is there twice; say NAME=COLUMN:KIND")
        columns[name] = COLUMNS[kind](() if names == (name,) else names)
    return columns
