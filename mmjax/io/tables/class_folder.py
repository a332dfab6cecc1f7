"""A folder of files in folders of classes: `<class>/<file>` or `<split>/<class>/<file>`."""

import os
from collections.abc import Iterator
from pathlib import Path

from mmjax.errors import UserError
from mmjax.io.tables.row import Format, Header, RowError, Rows

SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
DEPTH = 20
_SHARDS = (".parquet", ".tar", ".tar.gz", ".tgz")


def columns(path: str | os.PathLike[str], format: Format) -> Header:
    """`file` and `class`; and `split` if all folders at the top are called like one."""
    names = ["file", "class"]
    return Header([*names, "split"] if _has_splits(Path(path)) else names)


def rows(path: str | os.PathLike[str], format: Format) -> Rows:
    """A row for each file in order, under its relative path. Hidden files are left out.

    `class` is the name of the folder below the top or the split, None for files without;
    `split` is train, validation or test. Of the names, only one folder's are held at a time.

    Raises:
        UserError: the folder holds shards, which are tables of their own.
    """
    top = Path(path).resolve()
    splits = _has_splits(top)
    for file in _files(top):
        place = file.relative_to(top).as_posix()
        if reason := _flaw(file, top):
            yield place.encode(errors="backslashreplace").decode(), RowError(path, place, reason)
            continue
        if file.name.lower().endswith(_SHARDS):
            raise UserError(
                f"{path}: expected a folder of pictures or other files, got shards such as "
                f"{place}; name them by a pattern, such as {Path(path) / ('*' + file.suffix)}"
            )
        folders = file.relative_to(top).parts[:-1]
        row: dict[str, str | None] = {"file": place}
        if splits:
            row["split"] = SPLITS[folders[0].lower()] if folders else None
            folders = folders[1:]
        yield place, row | {"class": folders[0] if folders else None}


def _has_splits(top: Path) -> bool:
    folders = [name.lower() for name, is_folder in _entries(top) if is_folder]
    return bool(folders) and set(folders) <= set(SPLITS)


def _files(folder: Path, depth: int = 0) -> Iterator[Path]:
    """All but folders; links to folders are not followed."""
    if depth > DEPTH:
        raise UserError(f"{folder}: expected at most {DEPTH} folders in each other")
    for name, is_folder in _entries(folder):
        if is_folder:
            yield from _files(folder / name, depth + 1)
        else:
            yield folder / name


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """(name, whether it is a folder) of all that is not hidden, in order."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if not entry.name.startswith(".")
            )
    except OSError as error:
        raise UserError(f"{folder}: expected a folder that can be read: {error}") from error


def _flaw(file: Path, top: Path) -> str | None:
    try:
        os.fspath(file).encode()
    except UnicodeEncodeError:
        return "expected a name in UTF-8"
    if file.is_symlink() and not Path(os.path.realpath(file)).is_relative_to(top):
        return "expected a file in the folder, got a link that leads out of it"
    if file.is_dir():
        return "expected a file, got a link to a folder; its files are rows where they lie"
    if not file.is_file():
        return "expected a file, got another thing or a link to nothing"
    return None
