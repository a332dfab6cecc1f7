"""Tables of rows in files of many kinds: an error in one row does not affect the others.

To add a kind of file, write a module with `columns` and `rows`, and a line in `KINDS`.
"""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from mmjax.errors import UserError
from mmjax.io.tables import (
    array_record,
    arrays,
    class_folder,
    delimited,
    hdf5,
    json_lines,
    parquet,
    tar_shard,
)
from mmjax.io.tables.files import base_folder as base_folder
from mmjax.io.tables.files import files_of as files_of
from mmjax.io.tables.row import PLAIN, Header, Kind, Rows
from mmjax.io.tables.row import Cell as Cell
from mmjax.io.tables.row import Format as Format
from mmjax.io.tables.row import RowError as RowError

KINDS: Mapping[str, Kind] = {
    ".csv": delimited,
    ".tsv": delimited,
    ".txt": delimited,
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".parquet": parquet,
    ".npz": arrays,
    ".npy": arrays,
    ".h5": hdf5,
    ".hdf5": hdf5,
    ".tar": tar_shard,
    ".tar.gz": tar_shard,
    ".tgz": tar_shard,
    ".array_record": array_record,
}
"""By the end of the file's name, before -00000-of-00010."""


def read_rows(
    path: str | os.PathLike[str],
    *,
    format: Format = PLAIN,
    required: Collection[str] = (),
    any_of: Collection[str] = (),
) -> Rows:
    """The place of each row, with its cells by column or with its error. Memory is bounded.

    Every row has all columns of `columns_of`; a column that it lacks is None. Empty cells of CSV
    files are "". JSON lines and shards may have more columns in some rows.

    Args:
        path: a file, a folder of files in folders of classes, or a pattern such as
            `part-*.parquet` or `train-{000..009}.tar`; several files are one table
        format: of text files
        required: columns that each file must have
        any_of: columns of which each file must have at least one; all others are free

    Yields:
        (place, row). The place is a line number, a row number (from 1), or the name of an example
        or a file. If there are several files it is "file:place".

    Raises:
        MissingFileError: a file does not exist.
        MissingPackageError: the kind of file needs an optional package.
        UserError: an unknown kind of file, a damaged file, or columns that are absent or repeated.
    """
    files = files_of(path)
    empty: dict[str, Cell] = {}
    base = base_folder(path)
    for file in files:
        kind = _kind(file)
        header = kind.columns(file, format)
        _check(file, header, required, any_of)
        empty = empty or dict.fromkeys(name for name in header.names if name)
        for place, row in kind.rows(file, format):
            if len(files) > 1:
                place = f"{file.relative_to(base)}:{place}"
            yield place, row if isinstance(row, RowError) else empty | row


def columns_of(path: str | os.PathLike[str], format: Format = PLAIN) -> list[str]:
    """The names of the columns, without those that are empty; of several files, of the first.

    Cheap: no more than the beginning of a file is read. Errors are those of `read_rows`.
    """
    file = files_of(path)[0]
    return list(dict.fromkeys(name for name in _kind(file).columns(file, format).names if name))


def _kind(file: Path) -> Kind:
    if file.is_dir():
        return class_folder
    name = re.sub(r"-\d+-of-\d+$", "", file.name.lower())
    for end, kind in KINDS.items():
        if name.endswith(end):
            return kind
    raise UserError(f"{file}: expected a kind of table; choose from {', '.join(KINDS)}, a folder")


def _check(file: Path, header: Header, required: Collection[str], any_of: Collection[str]) -> None:
    wanted, flaw = sorted({*required, *any_of}), ""
    if twice := [name for name in wanted if header.names.count(name) > 1]:
        flaw = f"{twice[0]!r} is there twice"
    elif absent := sorted(set(required) - set(header.names)):
        flaw = f"no column {absent[0]!r}{header.remark}"
    elif any_of and not set(any_of) & set(header.names):
        flaw = f"none of these{header.remark}"
    if flaw:
        raise UserError(f"{file}: expected columns {wanted}, got {header.names!r:.500}: {flaw}")
