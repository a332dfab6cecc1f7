"""CSV files that other people wrote, row by row: what is wrong with one row is an error of its own.

RFC 4180, https://www.rfc-editor.org/rfc/rfc4180, in UTF-8, with or without a byte-order mark.
"""

import csv
import io
import itertools
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from mmjax.io.safe_open import open_file

LINE_LIMIT = 1_000_000  # characters: a file without line ends is not read whole


class RowError(ValueError):
    """What is wrong with one row; the text names the file and the line."""

    def __init__(self, path: str | os.PathLike[str], line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.line = line
        self.reason = reason


def read_rows(
    path: Path, *, known: Collection[str] | None = None, required: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, str] | RowError]]:
    """The line on which a row begins, with {column: cell}, or with what is wrong with the row.

    Empty lines are no rows. `known` are the columns that there may be (none: any), `required`
    those that there must be. Cells are as they were written: no blanks are removed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the header is wrong, or rows cannot be told apart: a quote that is not closed.
    """
    with open_file(path, f"{path}: expected a CSV file") as binary:
        # Bytes that are not UTF-8 become lone surrogates, which are an error of their row alone.
        file = io.TextIOWrapper(binary, "utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(_lines(path, file), strict=True)
        header = _header(path, reader, known, required)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if reader.line_num > line:
                    raise ValueError(
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
            raise ValueError(
                f"{path}:{number}: expected lines of at most {LINE_LIMIT:,} characters"
            )
        yield text


def _header(
    path: Path, reader: Any, known: Collection[str] | None, required: Collection[str]
) -> list[str]:
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise ValueError(f"{path}:1: expected a header: {error}") from error
    wanted = sorted(known if known is not None else required)
    columns = f"columns {wanted}" if wanted else "the names of the columns"
    expected = f"{path}:1: expected a header with {columns}, got {header!r:.500}"
    if not header or len(set(header)) < len(header) or "" in header:
        raise ValueError(expected)
    if flaw := _flaw(header):
        raise ValueError(f"{expected}: {flaw}")
    if unknown := [name for name in header if known is not None and name not in known]:
        raise ValueError(f"{expected}: nothing is called {unknown[0]!r:.200}")
    if absent := sorted(set(required) - set(header)):
        raise ValueError(f"{expected}: no column {absent[0]!r}")
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


class BadRows:
    """What becomes of rows that are wrong: the first one stops, or all are skipped and reported.

    The report is a CSV file of their lines and reasons, written anew, with its header alone where
    no row was wrong.
    """

    def __init__(self, report: Path | None) -> None:
        """Without `report`, the first bad row stops."""
        self.report = report
        self.count = 0

    def left_out(self, rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """The good rows among good ones and `RowError`s.

        Raises:
            RowError: a bad row, without a report.
        """
        if self.report is None:
            for line, row in rows:
                if isinstance(row, RowError):
                    raise row
                yield line, row
            return
        rows = iter(rows)
        first = list(itertools.islice(rows, 1))  # a batch that is no CSV leaves an old report alone
        with self.report.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["line", "reason"])
            for line, row in itertools.chain(first, rows):
                if isinstance(row, RowError):
                    self.count += 1
                    writer.writerow([line, row.reason])
                else:
                    yield line, row
