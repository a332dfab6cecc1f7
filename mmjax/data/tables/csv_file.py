"""Reading a user's CSV file: the rows that are valid, and what is wrong with the others."""

import functools
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mmjax.data.targets import Target
from mmjax.data.transforms.features import FeatureTransform, open_features
from mmjax.data.transforms.table import Column, check_cells, parse_row
from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault, write_report
from mmjax.io.rows import RowError, read_rows

Policy = Literal["stop", "skip", "mask"]
Reader = Callable[[str], Any]
"""Reads the text of a cell; raises a UserError or an OSError where it cannot."""


class Row(NamedTuple):
    """A row of the file, by column; a value of None is missing."""

    line: int
    texts: Mapping[str, str]
    values: Mapping[str, Any]


def read_file(
    path: Path,
    columns: Mapping[str, Reader],
    *,
    required: Collection[str],
    policy: Policy,
    maskable: Collection[str],
) -> tuple[list[Row], list[Fault]]:
    """Read all rows.

    Args:
        columns: how the cells of each column are read
        required: columns that the file must have
        policy: what to do with a row that has errors: stop, skip it, or mask the cells that cannot
            be read
        maskable: columns to mask; a row with errors elsewhere is skipped instead

    Returns:
        The rows that are kept, and all errors.

    Raises:
        RowError: a row has errors and the policy is to stop; names the file, line and column.
        FileNotFoundError, UserError: the file does not exist, or is not a CSV file.
    """
    rows: list[Row] = []
    faults: list[Fault] = []
    for line, cells in read_rows(path, required=required):
        values, errors = {}, {}
        if isinstance(cells, RowError):
            cells, errors = {}, {"": cells.reason}
        for column in columns if cells else ():
            try:
                values[column] = columns[column](cells[column])
            except (ValueError, OSError) as error:
                values[column] = None
                errors[column] = str(error)
        if errors and policy == "stop":
            column, reason = next(iter(errors.items()))
            raise RowError(path, line, f"column {column!r}: {reason}" if column else reason)
        keep = not errors or (policy == "mask" and errors.keys() <= set(maskable))
        if keep:
            rows.append(Row(line, cells, values))
        outcome: Literal["skipped", "masked"] = "masked" if keep else "skipped"
        faults += [Fault(line, column, outcome, reason) for column, reason in errors.items()]
    return rows, faults


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


def check_targets(
    path: Path, rows: Iterable[Row], targets: Mapping[str, Target], advice: Mapping[str, str]
) -> None:
    """Check that the fitted targets can read all rows, such as those of the test split.

    Raises:
        RowError: a class or label that no training row has; with the `advice` for the column.
    """
    for row in rows:
        for name, target in targets.items():
            try:
                target([row.values[name]])
            except UserError as error:
                reason = str(error).removeprefix("row 0: ")
                reason += f"; {advice[name]}" if name in advice else ""
                raise RowError(path, row.line, f"column {name!r}: {reason}") from error


def optional(read: Reader) -> Reader:
    """Empty cells are missing; equal cells are read once, so an image is decoded and kept once."""
    return functools.cache(lambda text: read(text) if text.strip() else None)


def table_reader() -> Reader:
    """Reads JSON objects; the first cell of each column decides its kind."""
    columns: dict[str, Column] = {}

    def read(text: str) -> dict[str, Any]:
        row = parse_row(text)
        columns.update(check_cells(row, columns))
        return row

    return read


def feature_reader(folder: Path) -> Reader:
    """Reads `.npy` files, which must have as many features as the first one."""
    drafts: list[FeatureTransform] = []

    def read(text: str) -> np.ndarray:
        if drafts:
            return drafts[0].read(text, folder)
        width = np.atleast_1d(open_features(folder / text)).shape[-1]
        if width == 0:
            raise UserError(f"{folder / text}: expected one feature or more, got none")
        draft = FeatureTransform.draft(width)
        features = draft.read(text, folder)
        drafts.append(draft)
        return features

    return read


def drawn_split(key: Any, shares: tuple[float, float]) -> str:
    """A split drawn from the hash of `key`, so that added rows never move others.

    `shares` are those of validation and test.
    """
    bits = hashlib.sha256(json.dumps(key).encode()).digest()[:8]
    drawn = int.from_bytes(bits, "big") / 2**64
    validation, test = shares
    if drawn < validation:
        return "validation"
    return "test" if drawn < validation + test else "train"
