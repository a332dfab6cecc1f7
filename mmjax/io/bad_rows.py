"""The report of rows that could not be read: a CSV file of their lines and reasons."""

import csv
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file


class Fault(NamedTuple):
    """An error in a row, and what was done with the row; a line of the report."""

    line: int | str  # the row's line or name
    column: str  # "": the whole row
    outcome: Literal["skipped", "masked"]
    reason: str


def first(faults: Sequence[Fault]) -> str:
    """The end of an error that may come of them: their number, and the first one's reason."""
    if not faults:
        return ""
    line, column, _, reason = faults[0]
    where = f"line {line}" if isinstance(line, int) else line
    where += f", column {column!r}" if column else ""
    return f"; {len(faults):,} could not be read, the first: {where}: {reason}"


def check_report(path: Path) -> None:
    """Raise a UserError if the path exists and is not a report: other files are not overwritten."""
    if not os.path.lexists(path):
        return
    expected = f"{path}: expected a report of skipped rows, or no file"
    first = ",".join(Fault._fields).encode()
    with open_file(path, expected) as file:
        if path.is_symlink() or file.read(len(first)) != first:
            raise UserError(f"{expected}, got another one; choose a name for the report")


def write_report(path: Path, faults: Sequence[Fault]) -> None:
    """Replace the report atomically; without faults it has a header only.

    Raises:
        UserError: the path exists and is not a report.
    """
    check_report(path)
    # The processes of one training write the same report at once, each its own draft.
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file).writerows([Fault._fields, *faults])
    draft.replace(path)


def report_faults(path: Path, faults: Sequence[Fault], report: Path) -> None:
    """Write the faults of a file to `report`, and their number to stderr."""
    write_report(report, faults)
    if faults:
        counts = Counter(dict((fault.line, fault.outcome) for fault in faults).values())
        total = " and ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        print(
            f"{path}: rows that could not be read: {total}; lines and reasons: {report}",
            file=sys.stderr,
        )
