"""The score by groups of examples, worst first: classes, modalities, columns of the table."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mmjax.reports import page
from mmjax.reports.report import Report
from mmjax.reports.task import Task

_VALUES = 20  # values of a column; more, if they are numbers, become quarters
_FEWEST = 5  # examples of one of many values
_ROWS = 30


def slices(report: Report) -> Iterator[str]:
    """A table for each objective."""
    if report.absent:
        return
    columns = _columns(report)
    for task in report.tasks:
        if not task.scored or not len(task.rows):
            continue
        own = {name: [values[row] for row in task.rows] for name, values in columns.items()}
        if task.family == "classes":
            own["true class"] = [task.names[label] for label in task.labels]
        yield from _unread(own)
        rows = list(_rows(task, own))
        if not rows:
            yield page.paragraph(
                f"{task.name}: nothing divides the examples into groups; --by names further "
                "columns of a table."
            )
            continue
        worse = -1 if task.family == "numbers" else 1
        rows.sort(key=lambda row: worse * row[3])
        title = f"{task.name}: {task.score_name} by group, the {min(len(rows), _ROWS)} worst first"
        if len(rows) > _ROWS:
            title += f" of {len(rows)}"
        header = ("column", "group", "examples", task.score_name, "95 % interval")
        yield page.table(header, rows[:_ROWS], title)
        overall = float(np.mean(task.scores))
        yield page.paragraph(
            f"All examples: {page.number(overall)}. Of many groups the worst looks worse than it "
            "is; believe a group whose interval does not reach the value of all.",
            "quiet",
        )


def _columns(report: Report) -> dict[str, Sequence[Any]]:
    """The value of every example of the split: raw cells of tables, and what is present."""
    found: dict[str, Sequence[Any]] = {}
    for name, there in report.present.items():
        if 0 < there.sum() < len(there):
            found[f"{name} is there"] = ["yes" if one else "no" for one in there]
    inputs = report.inputs(np.arange(min(len(report.examined), 1)))
    tables = [name for name, value in inputs[0].items() if isinstance(value, Mapping)]
    if tables:
        rows = report.inputs(np.arange(len(report.examined)))
        for name in tables:
            keys = dict.fromkeys(key for row in rows for key in row[name] or ())
            found |= {key: [(row[name] or {}).get(key) for row in rows] for key in keys}
    return found | report.cells(report.by)


def _rows(task: Task, columns: Mapping[str, Sequence[Any]]) -> Iterator[tuple]:
    for column, values in columns.items():
        groups = _groups(values)
        for group in dict.fromkeys(groups) if len(set(groups)) > 1 else ():
            chosen = np.array([one == group for one in groups])
            value, low, high = task.mean(chosen)
            yield column, group, int(chosen.sum()), value, page.interval(low, high)


def _unread(columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """A sentence for each column that divides the examples into too many groups."""
    for column, values in columns.items():
        if not _groups(values):
            yield page.paragraph(
                f"{column}: {len(set(map(str, values))):,} different values, none of which "
                f"{_FEWEST} examples have: no groups."
            )


def _groups(values: Sequence[Any]) -> list[str]:
    """The name of each value's group.

    Many different numbers become four ranges; of other values the most frequent ones stay, unless
    all are rare, and the rest is (other).
    """
    texts = ["(empty)" if one is None or one == "" else str(one) for one in values]
    if len(set(texts)) <= _VALUES:
        return texts
    numbers = np.array([_number(text) for text in texts])
    known = numbers[~np.isnan(numbers)]
    if len(known) < 0.9 * len(texts):
        common = [text for text, n in Counter(texts).most_common(_VALUES) if n >= _FEWEST]
        return [text if text in common else "(other)" for text in texts] if common else []
    edges = np.unique(np.quantile(known, [0, 0.25, 0.5, 0.75, 1]))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    ranges = [f"{edges[p]:.4g} to {edges[p + 1]:.4g}" for p in place]
    pairs = zip(ranges, numbers, strict=True)
    return ["(empty)" if math.isnan(number) else text for text, number in pairs]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
