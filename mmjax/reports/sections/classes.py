"""Classes: which are taken for which, how honest probabilities are, and rankings."""

from collections.abc import Iterator

import numpy as np

from mmjax.reports import page
from mmjax.reports.drawing import Drawing, heat, line
from mmjax.reports.report import Report
from mmjax.reports.task import Task

_MOST = 20  # classes that are drawn as a matrix
_BINS = 15
_CURVES = 8  # classes of which curves are drawn: the most frequent


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
    place = np.searchsorted(np.linspace(0, 1, _BINS + 1)[1:-1], sure)
    rows, error = [], 0.0
    for k in np.unique(place):
        own = place == k
        said, true = float(sure[own].mean()), float(right[own].mean())
        error += own.mean() * abs(said - true)
        rows.append((f"{k / _BINS:.2f} to {(k + 1) / _BINS:.2f}", int(own.sum()), said, true))
    drawing = Drawing()
    (axes,) = drawing.axes
    axes.plot([0, 1], [0, 1], color="#888888", linestyle=":")
    sizes = [20 + 180 * row[1] / len(sure) for row in rows]
    axes.scatter([r[2] for r in rows], [r[3] for r in rows], s=sizes, color=line(0)["color"])
    axes.plot([r[2] for r in rows], [r[3] for r in rows], **line(0))
    axes.set(xlabel="probability of the predicted class", ylabel="share that is right")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    trust = "overconfident" if sure.mean() > right.mean() else "underconfident"
    return report.figure(
        f"{task.name}_reliability",
        drawing,
        f"Reliability diagram: expected calibration error {error:.3f}, {trust} on average",
        "On the dotted line probabilities are right as often as they say; below it the model is "
        f"overconfident. Larger dots are more examples. Probabilities are {report.probabilities}.",
        ("probability", "examples", "mean probability", "share right"),
        rows,
    )


def _rankings(report: Report, task: Task) -> Iterator[str]:
    p, labels, names = task.probabilities, task.labels, task.names
    counts = np.bincount(labels, minlength=len(names))
    there = [c for c in np.argsort(-counts) if 0 < counts[c] < len(labels)]
    some = [1] if len(names) == 2 and 1 in there else there[:_CURVES]
    absent = [name for name, n in zip(names, counts, strict=True) if n == 0]
    if absent:
        yield page.paragraph(
            f"No example of this split is of {', '.join(absent[:20])}: what ranks these classes is "
            "not defined."
        )
    if not some:
        yield page.paragraph("All examples are of one class: no ranking is defined.")
        return
    drawing, rows = Drawing(2), []
    roc, pr = drawing.axes
    roc.plot([0, 1], [0, 1], color="#888888", linestyle=":")
    for place, c in enumerate(some):
        order = np.argsort(-p[:, c], kind="stable")
        hits = np.cumsum(labels[order] == c)
        # Equal probabilities are one threshold.
        ends = np.append(np.flatnonzero(np.diff(p[order, c])), len(order) - 1)
        tp, fp = hits[ends], ends + 1 - hits[ends]
        recall, false = tp / hits[-1], fp / (len(order) - hits[-1])
        thin = np.unique(np.linspace(0, len(ends) - 1, 200).astype(int))
        label = names[c]
        roc.plot([0, *false[thin]], [0, *recall[thin]], label=label, **line(place))
        pr.plot(recall[thin], (tp / (tp + fp))[thin], label=label, **line(place))
        for want in (0.5, 0.8, 0.9, 0.95, 0.99):
            at = int(np.searchsorted(recall, want))
            at = min(at, len(ends) - 1)
            found = (float(recall[at]), float(false[at]), float(tp[at] / (tp[at] + fp[at])))
            rows.append((label, float(p[order[ends[at]], c]), *found))
    roc.set(xlabel="false positive rate", ylabel="recall", ylim=(-0.02, 1.02))
    pr.set(xlabel="recall", ylabel="precision", ylim=(-0.02, 1.02))
    drawing.legend(aside=len(some) > 3)
    few = f", the {len(some)} most frequent classes" if len(some) < len(there) else ""
    yield report.figure(
        f"{task.name}_rankings",
        drawing,
        f"ROC and precision-recall curves, each class against the rest{few}",
        "Left: nearer to the upper left corner is better, the dotted line is guessing. Right: "
        "nearer to the upper right corner is better; guessing gives the share of the class.",
        ("class", "threshold", "recall", "false positive rate", "precision"),
        rows,
    )
