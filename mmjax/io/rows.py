"""Rows of CSV files that other people wrote: an error in one row does not affect the others.

RFC 4180, https://www.rfc-editor.org/rfc/rfc4180, in UTF-8, with or without a byte-order mark.
"""

import csv
import io
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file

LINE_LIMIT = 1_000_000  # characters; a file without line ends is not read whole


class RowError(UserError):
    """An error in one row; the text names the file and the line."""

    def __init__(self, path: str | os.PathLike[str], line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.line = line
        self.reason = reason


def read_rows(
    path: Path, *, required: Collection[str] = (), any_of: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, str] | RowError]]:
    """The first line of each row, with its cells by column or with its error.

    Empty lines are skipped. Cells keep their blanks.

    Args:
        required: columns that the file must have
        any_of: columns of which the file must have at least one; all others are free

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: the header is wrong, or a quote is never closed, so that rows cannot be told
            apart.
    """
    with open_file(path, f"{path}: expected a CSV file") as binary:
        # Bytes that are not UTF-8 become lone surrogates, which are an error of their row only.
        file = io.TextIOWrapper(binary, "utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(_lines(path, file), strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise UserError(f"{path}:1: expected a header: {error}") from error
        _check_header(path, header, required, any_of)
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
            if len(cells) not in (0, len(header)):
                reason = f"expected {len(header)} cells, got {len(cells)}"
                yield line, RowError(path, line, reason)
            elif flaw := _flaw(cells):
                yield line, RowError(path, line, flaw)
            elif cells:
                yield line, dict(zip(header, cells, strict=True))


def _lines(path: Path, file: io.TextIOBase) -> Iterator[str]:
    number = 0
    while text := file.readline(LINE_LIMIT + 1):
        number += 1
        if len(text) > LINE_LIMIT:
            raise UserError(f"{path}:{number}: expected lines of at most {LINE_LIMIT:,} characters")
        yield text


def _check_header(
    path: Path, header: list[str], required: Collection[str], any_of: Collection[str]
) -> None:
    wanted = sorted({*required, *any_of})
    columns = f"columns {wanted}" if wanted else "the names of the columns"
    flaw = _flaw(header) or ""
    if twice := [name for name in wanted if header.count(name) > 1]:
        flaw = f"{twice[0]!r} is there twice"
    elif absent := sorted(set(required) - set(header)):
        flaw = flaw or f"no column {absent[0]!r}"
    elif any_of and not set(any_of) & set(header):
        flaw = flaw or "none of these"
    if flaw or not header:
        expected = f"{path}:1: expected a header with {columns}, got {header!r:.500}"
        raise UserError(f"{expected}: {flaw}" if header else expected)


def _flaw(cells: Iterable[str]) -> str | None:
    for cell in cells:
        if "\0" in cell:
            return "expected text, got a NUL byte; is it UTF-16, or no text at all?"
        if any("\udc80" <= letter <= "\udcff" for letter in cell):
            return "expected UTF-8, got bytes that are not"
    return None
