"""What happens when a modality goes missing more often, or is disturbed more."""

from collections.abc import Iterator, Sequence

import numpy as np

from mmjax.reports import page
from mmjax.reports.drawing import Drawing, line
from mmjax.reports.report import Report
from mmjax.reports.task import Task

RATES = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of examples in which a modality is hidden
NOISE = (0.0, 0.25, 0.5, 1.0, 2.0)  # standard deviations; of words the share that is hidden
WORDS = (0.0, 0.1, 0.25, 0.5, 0.9)


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
        missing[name] = [
            report.examined.changed(count, {name: order >= rate * count}) for rate in RATES
        ]
        is_words = report.examined.batches(count)[0].inputs[name].values.dtype.kind in "iu"
        levels[name] = WORDS if is_words else NOISE
        noisy[name] = [report.examined.changed(count, noise={name: x}) for x in levels[name]]
    for task in report.tasks:
        if not len(task.rows):
            continue
        yield f"<h3>{page.html.escape(task.name)}</h3>"
        worth = lambda found, task=task: [task.worth(one[task.name]) for one in found]  # noqa: E731
        both = {
            "noise, or share of words hidden": {
                name: (levels[name], worth(found)) for name, found in noisy.items()
            },
            "missing rate": {name: (RATES, worth(found)) for name, found in missing.items()},
        }
        if task.family == "pairs":  # a smaller gallery is another task
            del both["missing rate"]
        yield _figure(report, task, both)


def _figure(report: Report, task: Task, both: dict[str, dict]) -> str:
    drawing, rows = Drawing(len(both)), []
    areas: dict[str, float] = {}
    for axes, (title, curves) in zip(drawing.axes, both.items(), strict=True):
        for place, (name, (at, values)) in enumerate(curves.items()):
            axes.plot(at, values, marker="o", markersize=3, label=name, **line(place))
            size = area(at, values)
            areas[name] = size
            rows += [(name, title, float(x), y) for x, y in zip(at, values, strict=True)]
            rows.append((name, f"{title}: area", "mean height", size))
        axes.set(xlabel=title, ylabel=task.worth_name)
    drawing.legend()
    worst = min(areas, key=lambda name: (areas[name] != areas[name], areas[name]))
    return report.figure(
        f"{task.name}_robustness",
        drawing,
        f"Curves of {task.worth_name} against {' and '.join(both)} of each modality; {worst} "
        "matters most",
        f"The first {report.count:,} examples. A flat curve: the model does without this modality, "
        "or stands its noise. Noise is in standard deviations of the training data; the area is "
        "the mean height of a curve.",
        ("modality", "disturbance", "at", task.worth_name),
        rows,
    )
