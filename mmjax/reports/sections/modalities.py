"""What each modality is worth: every subset of them, Shapley values and interactions."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from mmjax.errors import UserError
from mmjax.reports import page
from mmjax.reports.drawing import Drawing, line
from mmjax.reports.report import Report
from mmjax.reports.task import Task
from mmjax.statistics.shapley import interactions, shapley, subsets

_MOST = 6  # modalities of which every subset is measured


def modalities(report: Report) -> Iterator[str]:
    """A table over subsets, and what follows from it."""
    if report.absent:
        return
    names = report.examined.modalities
    for name in names:
        share = float(np.mean(report.present[name]))
        if share == 0:
            yield page.paragraph(f"{name} is missing in every example: it adds nothing here.")
        elif share < 1:
            yield page.paragraph(f"{name} is present in {share:.1%} of the examples.")
    if len(names) > _MOST:
        parts = [frozenset(), *(frozenset({n}) for n in names)]
        parts += [frozenset(names) - {n} for n in names] + [frozenset(names)]
        yield page.paragraph(
            f"{len(names)} modalities have {2 ** len(names):,} subsets. All are measured of up to "
            f"{_MOST} modalities; here only {len(parts)} were: none, each alone, each left out, "
            "and all. Shapley values and interactions need every subset and were not computed."
        )
    else:
        parts = subsets(names)
    measured = shown(report, parts)
    for task in report.tasks:
        if task.family == "pairs":
            yield page.paragraph(f"{task.name} compares two modalities: it needs both.")
            continue
        tasks = {p: report.sampled(task.name, found[task.name]) for p, found in measured.items()}
        values = {part: one.worth(one.records) for part, one in tasks.items()}
        yield f"<h3>{page.html.escape(task.name)}</h3>"
        rows = [
            (_title(part, names), values[part], _interval(tasks[part]))
            for part in sorted(parts, key=lambda part: (-len(part), -_finite(values[part])))
        ]
        # What has an interval is a mean over examples.
        header = ("visible", task.worth_name, f"95 % interval of the {task.score_name}")
        title = f"With only these modalities visible: {report.sample}"
        yield page.table(header, rows, title)
        if any(math.isnan(value) for value in values.values()):
            yield page.paragraph(
                f"{task.worth_name} is not defined for every subset: no Shapley values."
            )
        elif len(names) <= _MOST:
            yield _shapley(report, task, values)


def shown(report: Report, parts: Iterable[frozenset[str]]) -> dict[frozenset[str], Any]:
    """The records of the sample with only some modalities visible, {part: records}."""
    names, count = report.examined.modalities, report.count
    return {
        part: report.examined.changed({name: np.full(count, name in part) for name in names})
        for part in parts
    }


def worth(report: Report) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Shapley values of the modalities, of each task: its name, what is measured, the values.

    NaN where the measure is not defined for every subset. Tasks that compare modalities have none.
    """
    names = report.examined.modalities
    if len(names) > _MOST:
        raise UserError(f"expected at most {_MOST} modalities for Shapley values, got {len(names)}")
    measured = shown(report, subsets(names))
    for task in report.tasks:
        if task.family != "pairs":
            found = {p: report.sampled(task.name, one[task.name]) for p, one in measured.items()}
            values = {part: one.worth(one.records) for part, one in found.items()}
            yield task.name, task.worth_name, shapley(values)


def _shapley(report: Report, task: Task, values: dict[frozenset[str], float]) -> str:
    """The figure of Shapley values and interactions."""
    worth, pairs = shapley(values), interactions(values)
    whole = values[max(values, key=len)] - values[frozenset()]
    bars = {**worth, **{" x ".join(pair): value for pair, value in pairs.items()}}
    drawing = Drawing(width=5.5, height=0.8 + 0.32 * len(bars))
    (axes,) = drawing.axes
    colours = [line(0)["color"]] * len(worth) + [line(1)["color"]] * len(pairs)
    axes.barh(list(bars)[::-1], list(bars.values())[::-1], color=colours[::-1], height=0.6)
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.set(xlabel=task.worth_name)
    best = max(worth, key=lambda name: worth[name])
    rows = [*worth.items(), ("all Shapley values together", math.fsum(worth.values()))]
    rows += [("all modalities - none", whole)]
    rows += [(f"interaction {' x '.join(pair)}", value) for pair, value in pairs.items()]
    return report.figure(
        f"{task.name}_shapley",
        drawing,
        f"Shapley values of the modalities; {best} adds most, {worth[best]:.3g}",
        f"Bars of modalities share out the {whole:.3g} of {task.worth_name} between no modality "
        "and all. Bars of pairs (A x B): above 0 both together add more than each alone (synergy), "
        "below 0 what one adds the other adds too (redundancy).",
        ("modality", task.worth_name),
        rows,
    )


def _interval(task: Task) -> str:
    if not len(task.rows) or not task.scored:
        return "-"
    found = task.mean(np.ones(len(task.rows), bool))
    return page.interval(found.low, found.high)


def _title(part: frozenset[str], names: tuple[str, ...]) -> str:
    return ", ".join(name for name in names if name in part) or "none"


def _finite(value: float) -> float:
    return -math.inf if math.isnan(value) else value
