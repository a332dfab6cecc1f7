"""Cells of tables as people write them: numbers, dates, and what stands for a missing cell."""

import datetime
import re
from numbers import Real
from typing import Any

import numpy as np

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})

_GROUPED = re.compile(r"[+-]?\d{1,3}([, '\u00a0\u202f]\d{3})+(\.\d+)?")  # 1,200 or 1 200.5
_COMMA = re.compile(r"[+-]?\d+,\d+")  # 3,5
_CODE = re.compile(r"[+-]?0\d+")  # 0123 is a code; as a number it would lose its zeros
_DATES = ("%d.%m.%Y", "%Y/%m/%d", "%d %b %Y", "%d %B %Y")
_EPOCH = datetime.datetime(1970, 1, 1)


def is_missing(cell: Any) -> bool:
    """True for None, NaN, a blank text, and texts such as NA, null and ?."""
    if isinstance(cell, str):
        return cell.strip().lower() in MISSING
    return cell is None or (isinstance(cell, Real) and bool(cell != cell))


def number(text: str) -> float | None:
    """The number of a text such as 3, -0.5, 1e-3, 1,200, 1 200.5, 3,5 or 12 %; None if it is none.

    A comma before exactly three digits groups thousands. A code such as 0123 is no number.
    """
    text = text.strip().removesuffix("%").rstrip()
    if _CODE.fullmatch(text):
        return None
    if _GROUPED.fullmatch(text):
        text = re.sub(r"[, '\u00a0\u202f]", "", text)
    elif _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return float(text) if "_" not in text else None  # Python's own 1_000
    except ValueError:
        return None


def days(text: str) -> float | None:
    """Days since 1970 of a date (with or without a time) as in ISO 8601, 31.12.2024 or 2024/12/31.

    None if the text is no date.
    """
    text = text.strip()
    if not 8 <= len(text) <= 40 or text.isdigit():
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        for form in _DATES:
            try:
                moment = datetime.datetime.strptime(text, form)
                break
            except ValueError:
                continue
        else:
            return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return (moment - _EPOCH) / datetime.timedelta(days=1)


def is_category(cell: Any) -> bool:
    """True for texts and booleans."""
    return isinstance(cell, (str, bool, np.bool_))
