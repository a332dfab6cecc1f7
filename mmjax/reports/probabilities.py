"""Figures of probabilities: how honest they are, and how well they rank."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from mmjax.reports.drawing import Drawing, line
from mmjax.reports.report import OWN, Report

CURVES = 8  # of classes or labels that are drawn: the most frequent
_BINS = 15
# By class or label: the probabilities of examples, and whether they have it.
Series = Mapping[str, tuple[Float[np.ndarray, "row"], Bool[np.ndarray, "row"]]]


def reliable(report: Report, name: str, series: Series, alt: str, of: str, whose: str = OWN) -> str:
    """A reliability diagram with a line for each of the series.

    Args:
        report: of the page
        name: of the objective
        series: what is drawn
        alt: what is seen, beside the calibration error
        of: what has the probability
        whose: the model's own or calibrated ones
    """
    drawing, rows, errors = Drawing(), [], []
    (axes,) = drawing.axes
    axes.plot([0, 1], [0, 1], color="#888888", linestyle=":")
    for which, (label, (sure, right)) in enumerate(series.items()):
        place = np.searchsorted(np.linspace(0, 1, _BINS + 1)[1:-1], sure)
        own, error = [], 0.0
        for k in np.unique(place):
            chosen = place == k
            said, true = float(sure[chosen].mean()), float(right[chosen].mean())
            error += chosen.mean() * abs(said - true)
            span = f"{k / _BINS:.2f} to {(k + 1) / _BINS:.2f}"
            own.append((label, span, int(chosen.sum()), said, true))
        x, y = [r[3] for r in own], [r[4] for r in own]
        sizes = [20 + 180 * row[2] / len(sure) for row in own]
        axes.scatter(x, y, s=sizes, color=line(which)["color"])
        axes.plot(x, y, label=label if len(series) > 1 else None, **line(which))
        rows += own
        errors.append(error)
    axes.set(xlabel=f"probability of {of}", ylabel="observed share")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    drawing.legend(aside=True)
    return report.figure(
        f"{name}_reliability",
        drawing,
        f"Reliability diagram: expected calibration error {np.mean(errors):.3f}, {alt}",
        "On the dotted line probabilities come true as often as they say; below it they are too "
        f"high. Larger dots are more examples. Probabilities are {whose}.",
        ("of", "probability", "examples", "mean probability", "observed share"),
        rows,
    )


def ranked(report: Report, name: str, series: Series, alt: str) -> str:
    """ROC and precision-recall curves; each of the series has examples of both kinds."""
    drawing, rows = Drawing(2), []
    roc, pr = drawing.axes
    roc.plot([0, 1], [0, 1], color="#888888", linestyle=":")
    for place, (label, (p, true)) in enumerate(series.items()):
        order = np.argsort(-p, kind="stable")
        hits = np.cumsum(true[order])
        # Equal probabilities are one threshold.
        ends = np.append(np.flatnonzero(np.diff(p[order])), len(order) - 1)
        tp, fp = hits[ends], ends + 1 - hits[ends]
        recall, false = tp / hits[-1], fp / (len(order) - hits[-1])
        thin = np.unique(np.linspace(0, len(ends) - 1, 200).astype(int))
        roc.plot([0, *false[thin]], [0, *recall[thin]], label=label, **line(place))
        pr.plot(recall[thin], (tp / (tp + fp))[thin], label=label, **line(place))
        for want in (0.5, 0.8, 0.9, 0.95, 0.99):
            at = int(np.searchsorted(recall, want))
            at = min(at, len(ends) - 1)
            found = (float(recall[at]), float(false[at]), float(tp[at] / (tp[at] + fp[at])))
            rows.append((label, float(p[order[ends[at]]]), *found))
    roc.set(xlabel="false positive rate", ylabel="recall", ylim=(-0.02, 1.02))
    pr.set(xlabel="recall", ylabel="precision", ylim=(-0.02, 1.02))
    drawing.legend(aside=len(series) > 3)
    return report.figure(
        f"{name}_rankings",
        drawing,
        f"ROC and precision-recall curves, {alt}",
        "Left: nearer to the upper left corner is better, the dotted line is guessing. Right: "
        "nearer to the upper right corner is better; guessing gives the share that is true.",
        ("of", "threshold", "recall", "false positive rate", "precision"),
        rows,
    )
