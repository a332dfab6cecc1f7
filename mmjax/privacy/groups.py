"""k-anonymity by Mondrian, LeFevre, DeWitt, Ramakrishnan (ICDE 2006), in its strict form.

Rows are split at the median of the quasi-identifier that spans most values, as long as each part
keeps k people and l distinct sensitive values (distinct l-diversity, Machanavajjhala et al., ICDE
2006). Within a part all rows get the same generalised cells.
"""

import datetime
import os
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from mmjax.data.transforms.cells import days, is_missing, number
from mmjax.errors import UserError
from mmjax.io import progress

Numbers = Literal["range", "mean"]
_LISTED = 4  # categories that are named; more become "*"
_EPOCH = datetime.date(1970, 1, 1)


class Quasi(NamedTuple):
    """A quasi-identifier of all rows."""

    kind: str  # number, date or category
    codes: np.ndarray  # [row], the rank of the value; missing cells share the lowest
    values: list  # by code; None is missing


def quasi(cells: Sequence[Any]) -> Quasi:
    """Numbers and dates in their order, other cells as categories in that of the alphabet."""
    texts = [None if is_missing(cell) else str(cell).strip() for cell in cells]
    present = {text for text in texts if text is not None}
    numbers, dates = ({text: read(text) for text in present} for read in (number, days))
    kind = "category"
    by_text: dict[str, Any] = {text: text for text in present}
    if None not in numbers.values():
        kind, by_text = "number", numbers
    elif None not in dates.values():
        kind, by_text = "date", dates
    values = [None, *sorted(set(by_text.values()))]
    rank = {value: code for code, value in enumerate(values)}
    codes = np.array([0 if text is None else rank[by_text[text]] for text in texts], np.int64)
    return Quasi(kind, codes, values)


def partition(
    columns: Sequence[Quasi],
    people: np.ndarray,
    k: int,
    sensitive: Sequence[np.ndarray] = (),
    distinct: int = 1,
) -> list[np.ndarray]:
    """The indices of the rows of each group.

    Args:
        columns: the quasi-identifiers
        people: codes `[row]` of the person of each row
        k: fewest people of a group
        sensitive: codes `[row]` of each sensitive column
        distinct: fewest distinct values of each sensitive column in a group

    Raises:
        UserError: all rows together are too few or not diverse enough.
    """
    rows = np.arange(len(columns[0].codes))
    if not _allowed(rows, people, k, sensitive, distinct):
        raise UserError(
            f"expected at least k = {k} people with l = {distinct} distinct values of each "
            f"sensitive column, got {len(rows)} rows of fewer"
        )
    codes = np.stack([column.codes for column in columns])
    spans = np.array([max(len(column.values) - 1, 1) for column in columns])
    waiting, done, finished = [rows], [], 0
    with progress.shown("groups", len(rows)) as tell:
        while waiting:
            rows = waiting.pop()
            parts = _split(rows, codes[:, rows], spans, people, k, sensitive, distinct)
            if parts is None:
                done.append(rows)
                finished += len(rows)
                tell(finished)
            else:
                waiting += parts
    return done


def generalised(column: Quasi, groups: Sequence[np.ndarray], numbers: Numbers) -> list[str]:
    """The cell of each row: the same within a group, "" where all cells of it are missing."""
    cells = [""] * len(column.codes)
    for rows in groups:
        cell = _cell(column, np.unique(column.codes[rows]), rows, numbers)
        for row in rows:
            cells[row] = cell
    return cells


def _allowed(
    rows: np.ndarray, people: np.ndarray, k: int, sensitive: Sequence[np.ndarray], distinct: int
) -> bool:
    diverse = distinct == 1 or all(len(np.unique(column[rows])) >= distinct for column in sensitive)
    return len(rows) >= k and len(np.unique(people[rows])) >= k and diverse


def _split(
    rows: np.ndarray,
    codes: np.ndarray,
    spans: np.ndarray,
    people: np.ndarray,
    k: int,
    sensitive: Sequence[np.ndarray],
    distinct: int,
) -> list[np.ndarray] | None:
    if len(rows) < 2 * k:
        return None
    width = (codes.max(axis=1) - codes.min(axis=1)) / spans
    for index in np.argsort(-width, kind="stable"):
        if width[index] == 0:
            return None
        low, high = codes[index].min(), codes[index].max()
        middle = np.partition(codes[index], (len(rows) - 1) // 2)[(len(rows) - 1) // 2]
        # Many equal values at the median: cut below it where cutting above it is impossible.
        for cut in (middle, middle - 1):
            if low <= cut < high:
                below = codes[index] <= cut
                parts = [rows[below], rows[~below]]
                if all(_allowed(part, people, k, sensitive, distinct) for part in parts):
                    return parts
    return None


def _cell(column: Quasi, codes: np.ndarray, rows: np.ndarray, numbers: Numbers) -> str:
    values = [column.values[code] for code in codes]
    if values == [None]:
        return ""
    if None in values:
        return "*"
    if column.kind == "category":
        return _categories(values)
    if column.kind == "number" and numbers == "mean":
        return f"{np.mean([column.values[code] for code in column.codes[rows]]):.6g}"
    low, high = (_written(column.kind, value) for value in (values[0], values[-1]))
    return low if low == high else f"{low}..{high}"


def _categories(values: Sequence[str]) -> str:
    if len(values) == 1:
        return values[0]
    size = len(values[0])
    start = os.path.commonprefix([values[0], values[-1]])  # noqa: RUF071 (of sorted texts)
    if start and all(len(value) == size and value.isdigit() for value in values):
        return start + "*" * (size - len(start))  # 021** of two postcodes
    return "|".join(values) if len(values) <= _LISTED else "*"


def _written(kind: str, value: float) -> str:
    if kind == "number":
        return f"{value:.12g}"
    return (_EPOCH + datetime.timedelta(days=int(np.floor(value)))).isoformat()
