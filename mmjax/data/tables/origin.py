"""What the rows of a table are made from: cells, and the files that they name, as hashes."""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmjax.data.dataset import SPLITS
from mmjax.data.tables.columns import Column, FeaturesColumn
from mmjax.data.tables.columns.column import absent
from mmjax.data.tables.splits import content
from mmjax.io.safe_open import open_file

_FILES = 1024  # last files that are not read again


def digest(
    base: Path, columns: Mapping[str, Column], rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> str:
    """A hash of the rows of each split: their cells, and the contents of the files that they name.

    Of the files, not of what is decoded from them: another version of a decoder changes nothing.

    Args:
        base: folder of the paths in cells
        columns: by modality and target
        rows: the split of each row, as an index in `SPLITS`, and its cells
    """
    names = file_columns(columns)
    hashed = functools.lru_cache(_FILES)(functools.partial(contents, base))
    # The order of the splits in the file is free.
    digests = [hashlib.sha256() for _ in SPLITS]
    for split, cells in rows:
        texts = (cells[name] for name in names)
        parts = [hashed(text) for text in texts if isinstance(text, str) and not absent(text)]
        digests[split].update(content([cells, parts]))
    whole = [contents(base, name) for name in matrices(columns)]
    return hashlib.sha256(content([[one.digest() for one in digests], whole])).hexdigest()


def file_columns(columns: Mapping[str, Column]) -> list[str]:
    """The columns of the table whose cells may name files."""
    return [column.names(name)[0] for name, column in columns.items() if column.files]


def matrices(columns: Mapping[str, Column]) -> list[str]:
    """The files that columns name themselves."""
    features = [one for one in columns.values() if isinstance(one, FeaturesColumn)]
    return [name for one in features for name in (one.matrix, one.offsets) if name]


def state(base: Path, cell: Any) -> bytes:
    """Sizes and times of the file, or of the files of the folder, that a cell names; cheap."""
    if not isinstance(cell, str) or absent(cell) or len(cell) > 4096:
        return b""
    try:
        path = base / cell
        found = [file.stat() for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    except (OSError, ValueError):
        return b"?"
    return repr([(state.st_size, state.st_mtime_ns) for state in found]).encode()


def contents(base: Path, text: str) -> bytes:
    """A hash of the file, or of the files of the folder, that a cell names; of none for others."""
    try:
        path = base / text
        found = hashlib.sha256()
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            with open_file(file, str(file)) as opened:
                found.update(hashlib.file_digest(opened, "sha256").digest())
    except (OSError, ValueError):
        return b""
    return found.digest()
