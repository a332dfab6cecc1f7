"""JSON files with a checksum of their content, written atomically.

The checksum reveals damage, because a changed digit is still valid JSON. Set it to null after
editing a file by hand.
"""

import json
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmjax.errors import UserError

CHECKSUM = "checksum"
DRAFT = ".draft-"
LARGEST = 256 * 2**20  # bytes: a vocabulary of a million words, or the record of a large model


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Atomic: a killed writer leaves the old file intact. NaN and infinity are written as null."""
    content = plain(content)
    text = json.dumps({CHECKSUM: checksum(content), **content}, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically; it is on the disk before this returns."""
    draft = path.with_name(f"{DRAFT}{path.name}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name too
    finally:
        os.close(folder)


def read(path: Path) -> dict[str, Any]:
    """The content that `write` was given.

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: it is damaged, or was edited without setting the checksum to null.
    """
    content = parse(path)
    if CHECKSUM not in content:
        raise UserError(
            f'{path}: expected a "{CHECKSUM}"; if you wrote this file by hand, add "{CHECKSUM}": '
            "null"
        )
    expected = content.pop(CHECKSUM)
    if expected is not None and expected != checksum(content):
        raise UserError(
            f"{path}: damaged: the content does not match its checksum. Restore the file from a "
            f'copy; if you changed it on purpose, set its "{CHECKSUM}" to null'
        )
    return content


def parse(path: Path) -> dict[str, Any]:
    """The JSON object with its checksum, which is not verified; errors as in `read`."""
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: not a JSON file of a run: larger than {LARGEST:,} bytes")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file: {error}; is it cut short?") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def checksum(content: Mapping[str, Any]) -> str:
    """CRC32 of the shortest JSON of the content, whatever its layout in the file."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x}"


def plain(value: Any) -> Any:
    """The value with NaN and infinity replaced by None, because JSON has neither."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
