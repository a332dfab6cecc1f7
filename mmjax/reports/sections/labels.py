"""Several labels: of each how often it was right, how honest and how well ranked it is."""

from collections.abc import Iterator

import numpy as np
import scipy.special

from mmjax.metrics.binary import binary_metrics
from mmjax.reports import page
from mmjax.reports.probabilities import CURVES, ranked, reliable
from mmjax.reports.report import Report
from mmjax.reports.task import Task

_MEASURES = ("precision", "recall", "f1", "auroc", "average_precision", "calibration_error")
_COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")


def labels(report: Report) -> Iterator[str]:
    """A table of all labels, and curves of the most frequent ones, of each objective."""
    for task in [] if report.absent else report.tasks:
        if task.family == "labels" and len(task.rows):
            yield f"<h3>{page.html.escape(task.name)}</h3>"
            yield from _labels(report, task)


def _labels(report: Report, task: Task) -> Iterator[str]:
    output, target = (task.records[name][task.rows] for name in ("output", "target"))
    weight = np.broadcast_to(task.records["weight"][task.rows].T, output.T.shape)
    each = {
        name: (logits[known > 0].astype(np.float64), true[known > 0] > 0.5)
        for name, logits, true, known in zip(task.names, output.T, target.T, weight, strict=True)
    }
    rows = []
    for name, (logits, true) in each.items():
        if len(true):
            found = binary_metrics(logits, true.astype(np.float64), np.ones(len(true)))
            counts = (int(found[count]) for count in _COUNTS)
            rows.append((name, *counts, *(found[measure] for measure in _MEASURES)))
    header = ("label", *(name.replace("_", " ") for name in (*_COUNTS, *_MEASURES)))
    yield page.table(header, rows, "Each label: yes where its probability is above 0.5")
    ranks = [name for name, (_, true) in each.items() if 0 < true.sum() < len(true)]
    some = sorted(ranks, key=lambda name: -each[name][1].sum())[:CURVES]
    if len(ranks) < len(each):
        yield page.paragraph(
            f"{len(each) - len(ranks)} labels are true of all or of no example: what ranks these "
            "is not defined."
        )
    if some:
        series = {name: (scipy.special.expit(each[name][0]), each[name][1]) for name in some}
        few = f"the {len(some)} most frequent labels of {len(each)}"
        yield reliable(report, task.name, series, f"the mean of {few}", "the label")
        yield ranked(report, task.name, series, few)
