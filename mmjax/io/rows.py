"""CSV files that other people wrote, row by row: what is wrong with one row is an error of its own.

RFC 4180, https://www.rfc-editor.org/rfc/rfc4180, in UTF-8, with or without a byte-order mark.
"""

import csv
import io
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file

LINE_LIMIT = 1_000_000  # characters: a file without line ends is not read whole


class RowError(UserError):
    """What is wrong with one row; the text names the file and the line."""

    def __init__(self, path: str | os.PathLike[str], line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.line = line
        self.reason = reason


def read_rows(
    path: Path, *, required: Collection[str] = (), any_of: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, str] | RowError]]:
    """The line on which a row begins, with {column: cell}, or with what is wrong with the row.

    Empty lines are no rows. All of `required` must be columns, and one of `any_of` where these are
    given; other columns may be called anything, or nothing. Cells are as they were written: no
    blanks are removed.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the header is wrong, or rows cannot be told apart: a quote that is not closed.
    """
    with open_file(path, f"{path}: expected a CSV file") as binary:
        # Bytes that are not UTF-8 become lone surrogates, which are an error of their row alone.
        file = io.TextIOWrapper(binary, "utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(_lines(path, file), strict=True)
        header = _header(path, reader, required, any_of)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if reader.line_num > line:
                    raise UserError(
                        f"{path}:{line}: expected the quote of this row to be closed by line "
                        f"{reader.line_num}: {error}"
                    ) from error
                yield line, RowError(path, line, str(error))
                continue
            if cells:
                yield line, _row(path, line, header, cells)


def _lines(path: Path, file: io.TextIOBase) -> Iterator[str]:
    number = 0
    while text := file.readline(LINE_LIMIT + 1):
        number += 1
        if len(text) > LINE_LIMIT:
            raise UserError(f"{path}:{number}: expected lines of at most {LINE_LIMIT:,} characters")
        yield text


def _header(
    path: Path, reader: Any, required: Collection[str], any_of: Collection[str]
) -> list[str]:
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise UserError(f"{path}:1: expected a header: {error}") from error
    wanted = sorted({*required, *any_of})
    columns = f"columns {wanted}" if wanted else "the names of the columns"
    expected = f"{path}:1: expected a header with {columns}, got {header!r:.500}"
    if not header:
        raise UserError(expected)
    if flaw := _flaw(header):
        raise UserError(f"{expected}: {flaw}")
    if twice := [name for name in wanted if header.count(name) > 1]:
        raise UserError(f"{expected}: {twice[0]!r} is there twice")
    if absent := sorted(set(required) - set(header)):
        raise UserError(f"{expected}: no column {absent[0]!r}")
    if any_of and not set(any_of) & set(header):
        raise UserError(f"{expected}: none of these")
    return header


def _row(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str] | RowError:
    if len(cells) != len(header):
        return RowError(path, line, f"expected {len(header)} cells, got {len(cells)}")
    if flaw := _flaw(cells):
        return RowError(path, line, flaw)
    return dict(zip(header, cells, strict=True))


def _flaw(cells: Iterable[str]) -> str | None:
    for cell in cells:
        if "\0" in cell:
            return "expected text, got a NUL byte; is it UTF-16, or no text at all?"
        if any("\udc80" <= letter <= "\udcff" for letter in cell):
            return "expected UTF-8, got bytes that are not"
    return None
