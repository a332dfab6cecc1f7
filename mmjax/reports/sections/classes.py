"""Classes: which are taken for which, how honest probabilities are, and rankings."""

from collections.abc import Iterator

import numpy as np

from mmjax.reports import page
from mmjax.reports.drawing import Drawing, heat
from mmjax.reports.probabilities import CURVES, ranked, reliable
from mmjax.reports.report import Report
from mmjax.reports.task import Task

_MOST = 20  # classes that are drawn as a matrix


def classes(report: Report) -> Iterator[str]:
    """Confusion matrix, reliability diagram, ROC and precision-recall of each objective."""
    for task in [] if report.absent else report.tasks:
        if task.family == "classes" and len(task.rows):
            yield f"<h3>{page.html.escape(task.name)}</h3>"
            yield from _confusion(report, task)
            yield _reliability(report, task)
            yield from _rankings(report, task)


def _confusion(report: Report, task: Task) -> Iterator[str]:
    predicted, labels, names = task.logits.argmax(axis=1), task.labels, task.names
    count = len(names)
    matrix = np.bincount(labels * count + predicted, minlength=count**2).reshape(count, count)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    wrong = [(int(matrix[t, p]), t, p) for t, p in np.argwhere(matrix) if t != p]
    worst = [(names[t], names[p], n, float(share[t, p])) for n, t, p in sorted(wrong)[::-1][:30]]
    if count > _MOST:
        yield page.table(
            ("true", "predicted", "examples", "share of the true class"),
            worst,
            f"{count} classes: the pairs that are confused most often",
        )
        return
    drawing = Drawing(width=2.2 + 0.42 * count, height=1.8 + 0.36 * count)
    heat(drawing.axes[0], share, names, names, ".2f")
    drawing.axes[0].set(xlabel="predicted", ylabel="true")
    most = f"most often {worst[0][0]} is taken for {worst[0][1]}" if worst else "all are right"
    yield report.figure(
        f"{task.name}_confusion",
        drawing,
        f"Confusion matrix of {count} classes: {most}",
        "Each row is a true class, and its numbers are where its examples went: the diagonal is "
        "right. Rows sum to 1.",
        ("true", *names),
        [(name, *map(int, row)) for name, row in zip(names, matrix, strict=True)],
    )


def _reliability(report: Report, task: Task) -> str:
    p = task.probabilities
    sure, right = p.max(axis=1), p.argmax(axis=1) == task.labels
    trust = "overconfident" if sure.mean() > right.mean() else "underconfident"
    return reliable(
        report,
        task.name,
        {"predicted class": (sure, right)},
        f"{trust} on average",
        "the predicted class",
        report.probabilities,
    )


def _rankings(report: Report, task: Task) -> Iterator[str]:
    p, labels, names = task.probabilities, task.labels, task.names
    counts = np.bincount(labels, minlength=len(names))
    there = [c for c in np.argsort(-counts) if 0 < counts[c] < len(labels)]
    some = [1] if len(names) == 2 and 1 in there else there[:CURVES]
    absent = [name for name, n in zip(names, counts, strict=True) if n == 0]
    if absent:
        yield page.paragraph(
            f"No example of this split is of {', '.join(absent[:20])}: what ranks these classes is "
            "not defined."
        )
    if not some:
        yield page.paragraph("All examples are of one class: no ranking is defined.")
        return
    few = f", the {len(some)} most frequent classes" if len(some) < len(there) else ""
    series = {names[c]: (p[:, c], labels == c) for c in some}
    yield ranked(report, task.name, series, f"each class against the rest{few}")
