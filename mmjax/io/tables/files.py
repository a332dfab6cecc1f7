"""The files that a path or a pattern names."""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mmjax.errors import MissingFileError, UserError

LIMIT = 100_000  # files of one pattern
_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
_WILD = re.compile(r"[*?\[]")


def files_of(path: str | os.PathLike[str]) -> list[Path]:
    """The file or folder itself, or all that a pattern names, in order.

    Patterns are those of a shell: `*`, `?`, `[...]`, `{a,b}`, and `{000..009}` for ten numbers. A
    file whose name looks like a pattern is meant itself.

    Raises:
        MissingFileError: there is none, or one of those in braces is absent.
        UserError: more than `LIMIT` files.
    """
    text = os.fspath(path)
    if "\0" in text or os.path.lexists(text):
        return [Path(path)]
    found: list[Path] = []
    base = base_folder(path)
    for name in _expanded(os.path.relpath(text, base)):
        matches = sorted(glob.iglob(name, root_dir=base)) if _WILD.search(name) else [name]
        if not matches or not os.path.lexists(base / matches[0]):
            raise MissingFileError(
                f"{base / name}: expected a table, got no file at all"
                + (f"; it is one of {text}" if os.fspath(base / name) != text else "")
            )
        found += [base / match for match in matches]
        if len(found) > LIMIT:
            raise UserError(f"{text}: expected at most {LIMIT:,} files, got more")
    return found


def base_folder(path: str | os.PathLike[str]) -> Path:
    """The folder that relative paths in cells start from.

    It is the file's folder; a folder itself; the last folder before the wildcards of a pattern.
    """
    path = Path(path)
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), path.parent)


def _expanded(text: str) -> Iterator[str]:
    braces = _BRACES.search(text)
    if not braces:
        yield text
        return
    first, last, words = braces.groups()
    if words is not None:
        choices = iter(words.split(","))
    else:
        choices = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
    for choice in choices:
        yield from _expanded(text[: braces.start()] + choice + text[braces.end() :])
