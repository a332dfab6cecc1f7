"""What a file's content is read from: a path, or the bytes that a table or an archive holds."""

import os
from pathlib import Path
from typing import Any, Union

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file

Source = Union[str, os.PathLike[str], bytes]


def label(source: Source, name: str | None, kind: str) -> str:
    """What errors call the source: `name`, else its path, else "the {kind}"."""
    return name or (f"the {kind}" if isinstance(source, bytes) else os.fspath(source))


def read_source(source: Source, expected: str, limit: int) -> bytes:
    """The content, at most `limit` bytes; a UserError begins with `expected`."""
    if isinstance(source, bytes):
        content = source
    else:
        with open_file(source, expected) as file:
            content = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    if len(content) > limit:
        raise UserError(f"{expected} of at most {limit:,} bytes, got a larger one")
    return content


def cell_source(cell: Any, folder: Path) -> tuple[Source, str | None]:
    """The source that a cell of a table describes, and its name where the source has none.

    A cell is a path relative to `folder`, the content of a file, or, as in the tables of Hugging
    Face, {"bytes": content or None, "path": text or None}.
    """
    if isinstance(cell, str):
        return folder / cell, None
    if isinstance(cell, (bytes, bytearray, memoryview)):
        return bytes(cell), None
    if isinstance(cell, dict):
        path, content = cell.get("path"), cell.get("bytes")
        if isinstance(content, bytes):
            return content, path if isinstance(path, str) else None
        if isinstance(path, str) and content is None:
            return folder / path, None
    got = f"{{{', '.join(map(str, cell))}}}" if isinstance(cell, dict) else type(cell).__name__
    raise UserError(
        f"expected a path, the bytes of a file, {{bytes, path}} or an array, got {got:.200}"
    )
