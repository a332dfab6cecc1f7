"""Time series: .npy and CSV files of numbers."""

import array
import csv
import datetime
import io
import math
import re

import numpy as np
from jaxtyping import Float64

from mmjax.data.media.arrays import MAGIC, decode_npy
from mmjax.data.media.source import Source, label, read_source
from mmjax.errors import UserError

BYTE_LIMIT = 200_000_000  # of a file
_CELL_LIMIT = 100  # characters of a number or a time
_TIME = re.compile(r"t|(time|date|timestamp|datetime|seconds)\b.*", re.IGNORECASE)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

Series = Float64[np.ndarray, "step channel"]


def open_series(source: Source, *, name: str | None = None, header: bool = True) -> Series:
    """The steps of a series, from a .npy file `[step, channel]` or `[step]`, or from a CSV file.

    A CSV file has a header, and a finite number in each cell; cells are separated by commas, tabs
    or semicolons, between which a comma is a decimal point. The first column may hold ISO 8601
    dates, or seconds under a name such as "time", "t" or "seconds": they become channel 0, the
    seconds since the first row.

    Args:
        source: a path, or the content of a file
        name: what errors call bytes
        header: whether a CSV file without a header is refused; else its first line is a step

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: damaged or larger than `BYTE_LIMIT`, or a cell that is empty or no number; names
            the line.
    """
    name = label(source, name, "series")
    content = read_source(source, f"{name}: expected a .npy or CSV file", BYTE_LIMIT)
    if content.startswith(MAGIC):
        expected = f"{name}: expected a .npy file [step, channel] of numbers"
        steps = decode_npy(content, expected)
        if steps.ndim not in (1, 2):
            raise UserError(f"{expected}, got an array {steps.shape}")
        return (steps if steps.ndim == 2 else steps[:, None]).astype(np.float64)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: expected a CSV file in UTF-8, got {error}") from None
    if "\0" in text:
        raise UserError(f"{name}: expected a CSV file, got a NUL byte")
    return _csv(io.StringIO(text, newline=""), name, header)


def _csv(file: io.StringIO, name: str, header: bool) -> Series:
    first = file.readline()
    file.seek(0)
    separator = max(",;\t", key=first.count)
    rows = csv.reader(file, delimiter=separator, strict=True)
    numbers, width, timed, start = array.array("d"), 0, False, None
    try:
        for cells in rows:
            if not cells:
                continue
            if not width:
                width = len(cells)
                numeric = all(map(_is_number, cells))
                if numeric and header:
                    raise UserError("expected a header, got numbers: the first step would be lost")
                timed = _TIME.fullmatch(cells[0].strip()) is not None
                if not numeric:
                    continue
            if len(cells) != width:
                raise UserError(f"expected {width} cells, got {len(cells)}")
            if separator == ";":
                cells = [cell.replace(",", ".") for cell in cells]
            dated = _seconds(cells[0])
            if not numbers:
                start = dated
            if dated is None and start is None:
                numbers.append(_number(cells[0]))
            elif dated is not None and start is not None:
                numbers.append(dated - start)
            else:
                wanted = "number" if start is None else "date"
                raise UserError(f"expected a {wanted}, got {cells[0]!r:.60}")
            numbers.extend(map(_number, cells[1:]))
    except (UserError, csv.Error) as error:
        raise UserError(f"{name}:{rows.line_num}: {error}") from None
    if not width:
        raise UserError(f"{name}: expected a header and rows of numbers, got an empty file")
    steps = np.array(numbers, np.float64).reshape(-1, width)
    if timed and start is None and len(steps):
        steps[:, 0] -= steps[0, 0]
    return steps


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell.replace(",", ".")))
    except ValueError:
        return False


def _number(cell: str) -> float:
    text = cell.strip()
    try:
        number = math.nan if "_" in text or len(text) > _CELL_LIMIT else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"expected a finite number, got {cell!r:.60}")
    return number


def _seconds(cell: str) -> float | None:
    """Seconds since 1970 of a date, in UTC unless it says another zone; None if it is none."""
    text = cell.strip()
    if not re.match(r"\d{4}-\d\d", text) or len(text) > _CELL_LIMIT:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"expected an ISO 8601 date, got {cell!r:.60}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - _EPOCH).total_seconds()
