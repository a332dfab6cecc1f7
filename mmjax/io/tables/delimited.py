"""CSV and TSV files: cells are texts, separated by any character.

RFC 4180, https://www.rfc-editor.org/rfc/rfc4180, with the header that it makes optional.
"""

import csv
import io
import itertools
import os
import re
import threading
from collections.abc import Iterator
from pathlib import PurePath

from mmjax.errors import UserError
from mmjax.io.tables.row import Format, Header, RowError, Rows
from mmjax.io.tables.text import flaw, open_text

CELL_LIMIT = 1_000_000  # characters; a row with a longer cell is an error of its own
ROW_LIMIT = 10_000_000  # characters; a file without line ends is not read whole
SEPARATORS = (",", ";", "\t", "|")
_LOCK = threading.Lock()


def columns(path: str | os.PathLike[str], format: Format) -> Header:
    """The header of the file.

    Raises:
        MissingFileError: the file does not exist.
        UserError: it has no header, or one that cannot be read.
    """
    with open_text(path, format.encoding, "a CSV file") as file:
        lines = _Lines(path, file)
        return _open(path, lines, format)[1]


def rows(path: str | os.PathLike[str], format: Format) -> Rows:
    """The first line of each row, with its cells by column or with its error.

    Empty lines are skipped. Cells keep their blanks; empty ones are "". Empty cells at the end,
    under no name, need not be there, as in the files of spreadsheets.

    Raises:
        UserError: a quote is never closed, so that rows cannot be told apart.
    """
    with open_text(path, format.encoding, "a CSV file") as file:
        lines = _Lines(path, file)
        reader, (names, _) = _open(path, lines, format)
        named = max(index for index, name in enumerate(names) if name) + 1
        while True:
            line = lines.begin()
            try:
                cells = _next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if lines.number > line:
                    raise UserError(
                        f"{path}:{line}: expected the quote of this row to be closed by line "
                        f"{lines.number}: {error}"
                    ) from error
                yield line, RowError(path, line, str(error))
                continue
            if not cells:
                continue
            if len(cells) < named or any(cells[len(names) :]):
                reason = f"expected {len(names)} cells, got {len(cells)}"
                yield line, RowError(path, line, reason)
            elif (longest := max(map(len, cells))) > CELL_LIMIT:
                reason = f"expected cells of at most {CELL_LIMIT:,} characters, got {longest:,}"
                yield line, RowError(path, line, reason)
            elif reason := flaw("".join(cells), format.encoding):
                yield line, RowError(path, line, reason)
            else:
                yield line, {name: cell for name, cell in zip(names, cells) if name}  # noqa: B905


class _Lines:
    """The lines of a file for `csv.reader`, which joins several to a row."""

    def __init__(self, path: str | os.PathLike[str], file: io.TextIOBase) -> None:
        self._path, self._file = path, file
        self.number = self._size = 0
        self._first = 1

    def begin(self) -> int:
        """Begin a row; the number of its first line."""
        self._size, self._first = 0, self.number + 1
        return self._first

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            text = self._file.readline(ROW_LIMIT + 1 - self._size)
        except UnicodeError as error:
            raise UserError(f"{self._path}:{self.number + 1}: {error}") from error
        if not text:
            raise StopIteration
        self.number += 1
        self._size += len(text)
        if self._size > ROW_LIMIT:
            raise UserError(
                f"{self._path}:{self._first}: expected rows of at most {ROW_LIMIT:,} characters; "
                "is a quote not closed?"
            )
        return text


def _next(reader: Iterator[list[str]]) -> list[str]:
    """The next row, under a limit that is one for the process and is left as it was."""
    with _LOCK:
        limit = csv.field_size_limit(ROW_LIMIT)
        try:
            return next(reader)
        finally:
            csv.field_size_limit(limit)


def _open(
    path: str | os.PathLike[str], lines: _Lines, format: Format
) -> tuple[Iterator[list[str]], Header]:
    """The reader, which stands after the header, and the header."""
    first, separator = next(lines, ""), format.separator
    if said := re.fullmatch(r"sep=(.)\r?\n?", first, re.IGNORECASE):  # Excel's
        separator = separator or said[1]
        first = next(lines, "")
    looks = _separator(path, first)
    separator = separator or looks
    try:
        reader = csv.reader(itertools.chain([first], lines), delimiter=separator, strict=True)
        names = [name.strip() for name in _next(reader)]
    except csv.Error as error:
        raise UserError(f"{path}:1: expected a header: {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path}: expected one character as the separator, got {separator!r}: {error}"
        ) from error
    reason = flaw("".join(names), format.encoding)
    if reason or not any(names):
        got = f": {reason}" if reason else ""
        raise UserError(
            f"{path}:1: expected a header with the names of the columns, got {names!r:.500}{got}"
        )
    remark = f"; the header looks separated by {looks!r}, not {separator!r}"
    return reader, Header(names, remark if looks != separator else "")


def _separator(path: str | os.PathLike[str], header: str) -> str:
    """That which is most often in the header."""
    tab = PurePath(path).suffix.lower() == ".tsv"
    ordered = sorted(SEPARATORS, key=lambda separator: separator != "\t") if tab else SEPARATORS
    return max(ordered, key=re.sub('"[^"]*"', "", header).count)  # outside of quotes
