"""What happens when a modality goes missing more often, or is disturbed more."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.reports import page
from mmjax.reports.drawing import Drawing, line
from mmjax.reports.report import Report
from mmjax.reports.task import Task

RATES = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of examples in which a modality is hidden
NOISE = (0.0, 0.25, 0.5, 1.0, 2.0)  # standard deviations
SHARES = (0.0, 0.1, 0.25, 0.5, 0.9)  # of words that are hidden, of categories from other examples


def area(at: Sequence[float], values: Sequence[float]) -> float:
    """The mean height of a curve over its range, by trapezoids: in the unit of the metric."""
    return float(np.trapezoid(values, at) / (at[-1] - at[0]))


def robustness(report: Report) -> Iterator[str]:
    """Two sets of curves for each objective."""
    if report.absent:
        return
    count, names = report.count, report.examined.modalities
    order = np.random.default_rng(0).permutation(count)  # the hidden ones stay hidden
    missing, noisy, levels = {}, {}, {}
    for name in names:
        missing[name] = [report.examined.changed({name: order >= rate * count}) for rate in RATES]
        levels[name] = NOISE if _has_numbers(report, name) else SHARES
        noisy[name] = [report.examined.changed(noise={name: x}) for x in levels[name]]
    for task in report.tasks:
        if not len(task.rows):
            continue
        yield f"<h3>{page.html.escape(task.name)}</h3>"
        worth = lambda found, task=task: [task.worth(one[task.name]) for one in found]  # noqa: E731
        both = {
            "noise, or share of words or categories": {
                name: (levels[name], worth(found)) for name, found in noisy.items()
            },
            "missing rate": {name: (RATES, worth(found)) for name, found in missing.items()},
        }
        if task.family == "pairs":  # a smaller gallery is another task
            del both["missing rate"]
        yield _figure(report, task, both)


def _has_numbers(report: Report, name: str) -> bool:
    """Whether noise can be added: neither words nor a table of categories alone."""
    transform = report.preprocessing.transforms[name]
    if isinstance(transform, TableTransform):
        return 0 in transform.categories
    return not isinstance(transform, TextTransform)


def _figure(report: Report, task: Task, both: dict[str, dict]) -> str:
    drawing, rows, lowest = Drawing(len(both)), [], []
    for axes, (title, curves) in zip(drawing.axes, both.items(), strict=True):
        areas: dict[str, float] = {}
        for place, (name, (at, values)) in enumerate(curves.items()):
            axes.plot(at, values, marker="o", markersize=3, label=name, **line(place))
            areas[name] = area(at, values)
            rows += [(name, title, float(x), y) for x, y in zip(at, values, strict=True)]
            rows.append((name, f"{title}: area", "mean height", areas[name]))
        axes.set(xlabel=title, ylabel=task.worth_name)
        known = {name: size for name, size in areas.items() if not math.isnan(size)}
        if known:
            least = min(known, key=lambda name: known[name])
            lowest.append(f"against {title} the curve of {least} is lowest, {known[least]:.3g}")
    drawing.legend()
    return report.figure(
        f"{task.name}_robustness",
        drawing,
        "; ".join([f"Curves of {task.worth_name} of each modality", *lowest]),
        f"Measured on {report.sample}. A flat curve: the model does without this modality, or "
        "stands its disturbance. Numbers get noise in standard deviations of the training data; "
        "words are hidden; categories of a table become those of other examples, and beside "
        "numbers the share of these cells is the noise, at most 1. The area is the mean height of "
        "a curve.",
        ("modality", "disturbance", "at", task.worth_name),
        rows,
    )
