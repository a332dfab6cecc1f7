"""Guesses which column of a table is which modality or target, from its name and first cells."""

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.media.image import open_image
from mmjax.data.media.source import cell_source
from mmjax.data.tables.columns import (
    BinaryColumn,
    ClassColumn,
    Column,
    FeaturesColumn,
    ImageColumn,
    MultiLabelColumn,
    NumberColumn,
    PointsColumn,
    SeriesColumn,
    SoundColumn,
    TableColumn,
    TextColumn,
    TextTargetColumn,
)
from mmjax.data.tables.columns.column import Cell
from mmjax.data.tables.splits import is_split
from mmjax.data.targets.binary import NO, YES
from mmjax.data.transforms.cells import days, is_missing, number
from mmjax.errors import UserError
from mmjax.io.tables import Format, RowError, base_folder, columns_of, read_rows

_SAMPLE = 1000  # rows
_FIRST = 20  # pictures whose size is looked at
_SMALLEST = 8  # pixels of a side
_ENDS: Mapping[str, type[Column]] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"), ImageColumn),
    **dict.fromkeys(("avif", "dcm"), ImageColumn),
    **dict.fromkeys(("wav", "flac", "ogg", "mp3"), SoundColumn),
    **dict.fromkeys(("bin", "ply", "pcd"), PointsColumn),
    "npy": FeaturesColumn,
    "csv": SeriesColumn,
}
_STARTS: Mapping[bytes, type[Column]] = {
    **dict.fromkeys((b"RIFF", b"fLaC", b"OggS", b"ID3"), SoundColumn),
    b"\x93NUMPY": FeaturesColumn,
}
_WORDS = {"true", "false", "yes", "no"}  # where they stand, 1, 0, y and n are no classes
SPLIT_NAMES = ("split", "subset", "fold")


def columns(
    path: Path, format: Format, inputs: Collection[str], targets: Collection[str]
) -> dict[str, Column]:
    """The columns of the modalities and targets of a model.

    A modality `table` that is no column of the file gets all columns of numbers and categories that
    nothing else reads.

    Raises:
        UserError: the file has no such column, or its cells are of no known kind.
    """
    cells = sample(path, format)
    found: dict[str, Column] = {}
    for name in targets:
        found[name] = target(name, _column(path, cells, name, "target"))
    for name in inputs:
        if name == "table" and name not in cells:
            continue
        guessed = modality(_column(path, cells, name, "modality"))
        found[name] = guessed if guessed is not None else TableColumn()
    if "table" in inputs and "table" not in cells:
        free = [name for name in cells if name not in found and name not in SPLIT_NAMES]
        found["table"] = TableColumn(tuple(n for n in free if modality(cells[n]) is None))
    return found


def everything(
    path: Path, format: Format, targets: Collection[str] = (), ignored: Collection[str] = ()
) -> tuple[dict[str, Column], list[str]]:
    """All columns of a file that hold something to learn from; the others, each with the reason.

    Columns of numbers and categories become one modality, `table`.
    """
    cells = sample(path, format)
    found: dict[str, Column] = {n: target(n, _column(path, cells, n, "target")) for n in targets}
    table, rest = [], []
    for name, column in cells.items():
        if name in targets or name in ignored:
            continue
        if column and isinstance(column[0], Mapping) and column[0].keys() <= cells.keys():
            continue  # a shard's JSON object, whose members are columns too, perhaps the target
        guessed = modality(column)
        if guessed is not None:
            found[name] = guessed
        elif why := _useless(column):
            rest.append(f"{name} ({why})")
        else:
            table.append(name)
    if table:
        found["table"] = TableColumn(tuple(table))
    return found, rest


def _useless(cells: Sequence[Cell]) -> str | None:
    """Why nothing can be learned from a column of numbers or categories; None where it can."""
    texts = [str(cell) for cell in cells]
    numbers = [number(text) for text in texts]
    if None not in numbers and len(texts) > 20:
        pairs = itertools.pairwise(float(value or 0) for value in numbers)
        if all(a < b and b.is_integer() for a, b in pairs):
            return "row numbers: whole, and each above the one before"
    different = len(set(texts))
    if different < 2:
        return "always the same" if texts else "empty"
    return None if _typed(texts) or different <= 0.5 * len(texts) else "nearly each cell differs"


def _typed(texts: Sequence[str]) -> bool:
    """Whether nearly all texts are numbers or dates."""
    typed = sum(number(text) is not None or days(text) is not None for text in texts)
    return typed > 0.95 * len(texts)


def split_column(path: Path, format: Format) -> str | None:
    """A column called split, subset or fold whose cells are names of splits; None without one."""
    cells = sample(path, format)
    return next((n for n in SPLIT_NAMES if cells.get(n) and all(map(is_split, cells[n]))), None)


def sized(path: Path, format: Format, found: Mapping[str, Column]) -> dict[str, Column]:
    """The columns; pictures that are smaller than the default size are read at their own.

    It is the median of the first ones.
    """
    cells, result = sample(path, format), dict(found)
    for name, column in found.items():
        if not isinstance(column, ImageColumn) or column.size != ImageColumn.size:
            continue
        first = cells.get(column.names(name)[0], [])[:_FIRST]
        sizes = [size for cell in first if (size := _size(cell, base_folder(path))) is not None]
        if sizes:
            height, width = np.clip(np.median(sizes, axis=0), _SMALLEST, ImageColumn.size)
            result[name] = dataclasses.replace(column, size=(int(height), int(width)))
    return result


def _size(cell: Cell, folder: Path) -> tuple[int, int] | None:
    """Height and width of a picture; None of DICOM, and where it cannot be read."""
    if isinstance(cell, np.ndarray):
        return cell.shape[0], cell.shape[1]
    try:
        source, name = cell_source(cell, folder)
        image = open_image(source, name=name)
    except (UserError, OSError):
        return None
    return image.height, image.width


def sample(path: Path, format: Format) -> dict[str, list[Cell]]:
    """The cells of the first rows, by column, without missing ones."""
    cells: dict[str, list[Cell]] = {name: [] for name in columns_of(path, format)}
    for _, row in itertools.islice(read_rows(path, format=format), _SAMPLE):
        if isinstance(row, RowError):
            continue
        for name, cell in row.items():
            if not _missing(cell):
                cells.setdefault(name, []).append(cell)
    return cells


def modality(cells: Sequence[Cell]) -> Column | None:
    """The column of a modality; None: cells of a table, numbers or categories."""
    if not cells:
        return None
    first = cells[0]
    if isinstance(first, Mapping) and "bytes" in first:
        first = first["bytes"] or first.get("path") or ""
    if isinstance(first, bytes):
        starts = (kind for start, kind in _STARTS.items() if first.startswith(start))
        return next(starts, ImageColumn)()
    if isinstance(first, np.ndarray) and first.ndim:
        picture = first.dtype in (np.uint8, np.uint16) and first.ndim in (2, 3)
        return ImageColumn() if picture else FeaturesColumn()
    if isinstance(first, list):
        return FeaturesColumn()
    if isinstance(first, Mapping):
        return TableColumn()
    texts = [cell for cell in cells if isinstance(cell, str)]
    if len(texts) < len(cells):
        return None
    ends = {text.rpartition(".")[2].lower() for text in texts if len(text) < 1000}
    if len(ends) <= 3 and ends <= _ENDS.keys():
        return _ENDS[next(iter(ends))]()
    if all(text.lstrip()[:1] == "{" for text in texts):
        return TableColumn()
    if _typed(texts):
        return None
    words = np.mean([len(text.split()) for text in texts])
    return TextColumn() if words > 1.5 or len(set(texts)) > 0.5 * len(texts) else None


def target(name: str, cells: Sequence[Cell]) -> Column:
    """The column of a target: yes or no, a number, labels, a class or a text."""
    if not cells:
        raise UserError(f"target {name!r}: expected a cell that is not missing, got none")
    if isinstance(cells[0], list):
        return MultiLabelColumn()
    texts = [str(cell).strip().lower() for cell in cells]
    different = set(texts)
    if different <= {*YES, *NO} and (len(different) <= 2 or different & _WORDS):
        return BinaryColumn()
    if all(number(text) is not None for text in texts):
        whole = all(float(number(text) or 0).is_integer() for text in different)
        if not (whole and len(different) <= 20):
            return NumberColumn()
    if sum(";" in text for text in texts) > 0.1 * len(texts):
        return MultiLabelColumn()
    words = np.mean([len(text.split()) for text in texts])
    if words > 1.5 and len(different) > 0.5 * len(texts) > 10:
        return TextTargetColumn()
    return ClassColumn()


def described(found: Mapping[str, Column]) -> str:
    """The columns as --data.columns takes them: image:image age,bmi=table:table."""
    from mmjax.data.tables.columns import COLUMNS

    kinds = {cls: kind for kind, cls in COLUMNS.items()}
    parts = []
    for name, column in found.items():
        names = ",".join(column.column)
        equals = f"{name}={names}" if names and names != name else name
        parts.append(f"{equals}:{kinds[type(column)]}")
    return " ".join(parts)


def _column(path: Path, cells: Mapping[str, list[Cell]], name: str, what: str) -> list[Cell]:
    if name not in cells:
        raise UserError(
            f"{path}: no column {name!r} for the {what} of this name; say which one it is with "
            f"--data.columns {name}=COLUMN:KIND; its columns are {', '.join(cells)}"
        )
    return cells[name]


def _missing(cell: Any) -> bool:
    return False if isinstance(cell, (np.ndarray, list, Mapping, bytes)) else is_missing(cell)
