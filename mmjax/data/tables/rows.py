"""The rows of a user's own table, as a finished run reads them."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.tables.columns import Column
from mmjax.data.tables.columns.column import absent
from mmjax.data.tables.splits import content
from mmjax.errors import UserError, errors_name
from mmjax.io.tables import RowError, base_folder, read_rows


class Row(NamedTuple):
    """A row of a user's file."""

    line: int | str
    cells: Mapping[str, str]  # as written
    inputs: Mapping[str, Any]
    error: RowError | None = None


def read_table(
    path: Path,
    preprocessing: Preprocessing,
    columns: Mapping[str, Column] | None = None,
    only: Collection[str] | None = None,
) -> Iterator[Row]:
    """The rows of a table; an empty cell or absent column is a missing modality.

    Other columns are ignored. Paths are relative to the table, and may lead anywhere: the file is
    the user's own.

    Args:
        path: a file of any kind that `mmjax.io.tables` reads
        columns: how modalities are read from which columns; by default each from one of its name
        only: the places of the rows to read, as text; None: all

    Raises:
        UserError: the file is no table, or has no column of any modality.
    """
    columns = columns or {}
    names = {n: columns[n].names(n) if n in columns else (n,) for n in preprocessing.transforms}
    folder = base_folder(path)
    for line, cells in read_rows(path, any_of=sorted({one for n in names.values() for one in n})):
        if only is not None and str(line) not in only:
            continue
        if isinstance(cells, RowError):
            yield Row(line, {}, {}, cells)
            continue
        inputs = {}
        try:
            for name, wanted in names.items():
                there = {one: cells[one] for one in wanted if one in cells}
                if name in columns and there:
                    with errors_name(name):
                        inputs[name] = columns[name].row(there, folder)
                        preprocessing({name: [inputs[name]]})
                elif there:
                    cell = None if absent(there[name]) else there[name]
                    inputs[name] = read_value(preprocessing, name, cell, folder)
        except (ValueError, OSError) as error:
            yield Row(line, cells, {}, RowError(path, line, str(error)))
        else:
            yield Row(line, cells, inputs)


def read_value(
    preprocessing: Preprocessing, modality: str, text: Any, folder: Path = Path()
) -> Any:
    """The value of a modality that a user wrote: a text, a JSON object, or the path of a file.

    None is missing. Paths are relative to `folder`.

    Raises:
        UserError: an unknown modality, or an invalid value.
    """
    transform = preprocessing.transforms.get(modality)
    if transform is None:
        raise UserError(
            f"the run knows no {modality!r}; choose from {sorted(preprocessing.transforms)}"
        )
    if text is None:
        return None
    with errors_name(modality):
        return transform.read(text, folder)


def mark_of(inputs: Mapping[str, Any], modalities: Iterable[str]) -> str:
    """A short hash of the values of a row: another one where a text, picture or sound differs."""
    values = [[name, inputs.get(name)] for name in sorted(modalities)]
    return hashlib.blake2b(content(values), digest_size=8).hexdigest()
