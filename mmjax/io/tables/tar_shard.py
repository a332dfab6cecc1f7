"""Tar archives of examples, `000.jpg 000.txt 000.json 001.jpg ...`, as WebDataset writes them.

https://github.com/webdataset/webdataset
"""

import contextlib
import gzip
import itertools
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Any, cast

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file
from mmjax.io.tables import strict_json
from mmjax.io.tables.row import CELL_BYTES, Cell, Format, Header, RowError, Rows

SAMPLE = 20  # examples whose files are the header
EXAMPLE_BYTES = 2 * CELL_BYTES
EXTENSION_HEADER = 1_000_000  # bytes of a long name or of POSIX attributes
TAIL = 1_000_000  # bytes after the end of a compressed archive, up to its checksum
_NAME = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_EXTENSIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def columns(path: str | os.PathLike[str], format: Format) -> Header:
    """The names of the columns of the first `SAMPLE` examples."""
    names: dict[str, None] = {}
    for _, row in itertools.islice(rows(path, format), SAMPLE):
        if not isinstance(row, RowError):
            names |= dict.fromkeys(row)
    return Header(list(names), f"; looked for in the first {SAMPLE} examples")


def rows(path: str | os.PathLike[str], format: Format) -> Rows:
    """Examples by their key: the path up to the first dot of the file name. In order.

    Columns are the lower-case extensions. `.txt` and `.cls` are texts, without the line ends and
    the blanks at their ends; `.json` is its value, and the keys of an object are columns as well,
    if no file of the example is called so; all others are bytes. Hidden files are left out.

    Raises:
        UserError: the archive is damaged or cut short.
    """
    expected = f"{path}: expected a tar archive"
    with open_file(path, expected) as file:
        try:
            for key, group in itertools.groupby(_members(file), lambda member: member[0]):
                yield key, _example(path, key, group)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        except Exception as error:  # tarfile, gzip and zlib raise many kinds of errors
            raise UserError(f"{expected}, got another or a damaged one: {error!s:.300}") from error


class _Member(tarfile.TarInfo):
    """A header; tarfile takes a damaged one, or none, for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if isinstance(error, cast(Any, tarfile).EOFHeaderError):
                raise
            raise tarfile.ReadError(f"{error}; is it cut short?") from error
        if member.size < 0 or (member.type in _EXTENSIONS and member.size > EXTENSION_HEADER):
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


def _members(file: IO[bytes]) -> Iterator[tuple[str, str, bytes | str]]:
    """(key, extension, content or what is wrong with the file)."""
    packed = file.read(2) == b"\x1f\x8b"
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
        archive = stack.enter_context(tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member))
        while member := archive.next():
            cast(Any, archive).members = []  # tarfile keeps them all
            name = PurePosixPath(member.name).name
            # To pass over a file tarfile reads it, or reads the end of the archive again and again.
            end = CELL_BYTES if packed else total - member.offset_data
            if member.size > end and not member.isdir():
                raise UserError(
                    f"{member.name}: expected at most {end:,} bytes, got a header of more"
                )
            if member.isdir() or name.startswith("."):
                continue
            key, extension = named.groups() if (named := _NAME.fullmatch(member.name)) else ("", "")
            if not key:
                yield member.name, "", f"{member.name}: expected a name with an extension"
            elif flaw := _flaw(member):
                yield key, extension.lower(), f"{member.name}: {flaw}"
            else:
                content = cast(IO[bytes], archive.extractfile(member)).read()
                if len(content) < member.size:
                    raise UserError(
                        f"{member.name}: expected {member.size:,} bytes; is it cut short?"
                    )
                yield key, extension.lower(), content
        if packed:
            stream.read(TAIL)


def _flaw(member: tarfile.TarInfo) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        return "expected a path in the archive, got one that leads out of it"
    if not member.isreg() or member.issparse():
        return "expected a file, got a link, a device or a sparse file"
    if member.size > CELL_BYTES:
        return f"expected at most {CELL_BYTES:,} bytes, got {member.size:,}"
    return None


def _example(
    path: str | os.PathLike[str], key: str, group: Iterator[tuple[str, str, bytes | str]]
) -> dict[str, Cell] | RowError:
    row: dict[str, Cell] = {}
    reason, size = "", 0
    for _, extension, content in group:
        size += len(content)
        if isinstance(content, str):
            reason = reason or content
        elif extension in row:
            reason = reason or f"expected each extension once, got {extension!r} twice"
        elif size > EXAMPLE_BYTES:
            reason = reason or f"expected at most {EXAMPLE_BYTES:,} bytes for one example"
        elif not reason:
            try:
                row[extension] = _cell(extension, content)
            except ValueError as error:
                reason = f".{extension}: {error}"
    if reason:
        return RowError(path, key, reason)
    return {**row["json"], **row} if isinstance(row.get("json"), dict) else row


def _cell(extension: str, content: bytes) -> Cell:
    match extension.rpartition(".")[2]:
        case "txt" | "cls":
            return content.decode("utf-8-sig").strip()
        case "json":
            return strict_json.parse(content.decode("utf-8-sig"))
    return content
