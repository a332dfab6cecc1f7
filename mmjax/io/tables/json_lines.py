"""JSON lines, https://jsonlines.org: one object a line, whose keys are the columns."""

import itertools
import os
from typing import Any

from mmjax.errors import UserError
from mmjax.io.tables import strict_json
from mmjax.io.tables.row import Format, Header, RowError, Rows
from mmjax.io.tables.text import flaw, open_text

LINE_LIMIT = 10_000_000  # characters; a longer line is an error of its own
SAMPLE = 1000  # lines whose keys are the header


def columns(path: str | os.PathLike[str], format: Format) -> Header:
    """All keys of the first `SAMPLE` lines."""
    names: dict[str, None] = {}
    for _, row in itertools.islice(rows(path, format), SAMPLE):
        if not isinstance(row, RowError):
            names |= dict.fromkeys(row)
    return Header(list(names), f"; looked for in the first {SAMPLE:,} lines")


def rows(path: str | os.PathLike[str], format: Format) -> Rows:
    """Each line's number, with its object or its error. Empty lines are skipped."""
    with open_text(path, format.encoding, "a file of JSON lines") as file:
        number = 0
        try:
            while text := file.readline(LINE_LIMIT + 1):
                number += 1
                if len(text) > LINE_LIMIT:
                    while text and not text.endswith(("\n", "\r")):
                        text = file.readline(LINE_LIMIT)
                    reason = f"expected lines of at most {LINE_LIMIT:,} characters"
                    yield number, RowError(path, number, reason)
                elif text.strip():
                    yield number, _row(path, number, text, format.encoding)
        except UnicodeError as error:
            raise UserError(f"{path}:{number + 1}: {error}") from error


def _row(
    path: str | os.PathLike[str], number: int, text: str, encoding: str
) -> dict[str, Any] | RowError:
    if reason := flaw(text, encoding):
        return RowError(path, number, reason)
    try:
        value = strict_json.parse(text)
    except UserError as error:
        return RowError(path, number, str(error))
    if not isinstance(value, dict):
        return RowError(path, number, f"expected a JSON object, got {text.strip():.100}")
    return value
