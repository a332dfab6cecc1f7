"""The report of rows that could not be read: a CSV file of their lines and reasons."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file

_HEADER = ("line", "column", "outcome", "reason")


class Fault(NamedTuple):
    """What is wrong in a row, and what became of it; a line of the report."""

    line: int
    column: str  # "": the whole row
    outcome: Literal["skipped", "masked"]
    reason: str


def check_report(path: Path) -> None:
    """UserError where something that is no report lies in its place: it is never overwritten."""
    if not os.path.lexists(path):
        return
    expected = f"{path}: expected a report of skipped rows, or no file"
    first = ",".join(_HEADER).encode()
    with open_file(path, expected) as file:
        if path.is_symlink() or file.read(len(first)) != first:
            raise UserError(f"{expected}, got another one; choose a name for the report")


def write_report(path: Path, faults: Sequence[Fault]) -> None:
    """Write the report anew and in one piece, the header alone where nothing was wrong.

    Raises:
        UserError: something that is no report lies in its place.
    """
    check_report(path)
    # Processes of one training write the same report at once.
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file).writerows([_HEADER, *faults])
    draft.replace(path)
