"""Examples to look at: the most confident mistakes, and those that the model knew least about."""

import html
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmjax.evaluation.examined import drawn
from mmjax.objectives.pairs import Pairs
from mmjax.reports import page
from mmjax.reports.report import Report
from mmjax.reports.shown import shown
from mmjax.reports.task import Task

_SHOWN = 8
_QUERIES = 100  # that are tried


def examples(report: Report) -> Iterator[str]:
    """Cards with every modality of an example, what was said and what is true."""
    for task in [] if report.absent else report.tasks:
        if not len(task.rows) or task.family == "other":
            continue
        yield f"<h3>{html.escape(task.name)}</h3>"
        if isinstance(task.objective, Pairs):
            yield from _searches(report, task, task.objective.modalities)
        if not task.scored:
            continue
        for title, places in _chosen(task):
            yield f"<h4>{title}</h4>"
            if not len(places):
                yield page.paragraph("None.")
                continue
            yield page.cards(_cards(report, task, places))


def _chosen(task: Task) -> Iterator[tuple[str, np.ndarray]]:
    """Titles, and places in the examples that count."""
    if task.family == "classes":
        p = np.sort(task.probabilities, axis=1)
        wrong = np.flatnonzero(task.scores == 0)
        yield "Most confident mistakes", wrong[np.argsort(-p[wrong, -1], kind="stable")][:_SHOWN]
        yield "Least certain", np.argsort(p[:, -1] - p[:, -2], kind="stable")[:_SHOWN]
    elif task.family == "numbers":
        yield "Largest errors", np.argsort(-task.scores, kind="stable")[:_SHOWN]
    elif task.family == "labels":
        yield "Most wrong labels", np.argsort(task.scores, kind="stable")[:_SHOWN]
    else:
        rows = np.arange(len(task.rows))
        yield "Texts that differ from the true ones", rows[task.scores == 0][:_SHOWN]
        yield "Texts that are right", rows[task.scores == 1][:_SHOWN]


def _searches(report: Report, task: Task, named: tuple[str, ...]) -> Iterator[str]:
    """Queries whose best hit is wrong: what was asked, what was found, what belongs to it."""
    first, second = (task.records[name][task.rows] for name in ("first", "second"))
    names = named or report.examined.modalities
    for gallery, query, searched, asked in ((first, second, *names), (second, first, *names[::-1])):
        found, some = [], np.sort(drawn(len(query), _QUERIES))
        best = (query[some] @ gallery.T).argmax(axis=1)
        group = task.records["group"][task.rows]
        wrong = (group[some] != group[best]).any(axis=1)
        for i, j in list(zip(some[wrong], best[wrong], strict=True))[:_SHOWN]:
            own, other = report.inputs(task.rows[[i, j]])
            parts = (("asked", own[asked]), ("found", other[searched]), ("right", own[searched]))
            bodies = (
                f"<small>{what}</small><br>{shown(value, f'what was {what}')}"
                for what, value in parts
            )
            found.append("<br>".join(bodies))
        few = f", drawn at random of {len(query):,}," if len(some) < len(query) else ""
        right = 1 - float(np.mean(wrong))
        yield f"<h4>{html.escape(searched)} by {html.escape(asked)}</h4>"
        yield page.paragraph(
            f"Of {len(some)} queries{few} {right:.0%} find what belongs to them first."
        )
        yield page.cards(found)


def _cards(report: Report, task: Task, places: np.ndarray) -> Iterator[str]:
    rows = task.rows[places]
    for place, row, inputs in zip(places, rows, report.inputs(rows), strict=True):
        said, true = task.said(int(place))
        parts = [f"<strong>{html.escape(said)}</strong><br>true: {html.escape(true)}"]
        parts += [f"<small>{html.escape(n)}</small><br>{_value(n, x)}" for n, x in inputs.items()]
        yield "<br>".join([*parts, f"<small>example {row}</small>"])


def _value(name: str, value: Any) -> str:
    return shown(value, f"the {name} of this example")
