"""Numbers: predicted against true ones, and what is left over."""

from collections.abc import Iterator

import numpy as np

from mmjax.evaluation.examined import drawn
from mmjax.reports import page
from mmjax.reports.drawing import Drawing, line
from mmjax.reports.report import Report

_DOTS = 1000
_BINS = 20


def numbers(report: Report) -> Iterator[str]:
    """Scatter and residuals of each objective."""
    for task in [] if report.absent else report.tasks:
        if task.family != "numbers" or not len(task.rows):
            continue
        yield f"<h3>{page.html.escape(task.name)}</h3>"
        predicted, true = task.numbers
        residuals = predicted - true
        some = drawn(len(true), _DOTS)
        drawing = Drawing(2)
        left, right = drawing.axes
        ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
        left.plot(ends, ends, color="#888888", linestyle=":")
        left.scatter(true[some], predicted[some], s=8, alpha=0.5, color=line(0)["color"])
        unit = f" ({task.kind.unit})" if getattr(task.kind, "unit", "") else ""
        left.set(xlabel=f"true{unit}", ylabel=f"predicted{unit}")
        counts, edges = np.histogram(residuals, _BINS)
        right.stairs(counts, edges, fill=True, color=line(0)["color"])
        right.axvline(0, color="#888888", linestyle=":")
        right.set(xlabel=f"predicted - true{unit}", ylabel="examples")
        quantiles = np.quantile(residuals, [0.05, 0.25, 0.5, 0.75, 0.95])
        rows = [("residual", f"{q} %", float(v)) for q, v in
                zip((5, 25, 50, 75, 95), quantiles, strict=True)]  # fmt: skip
        order = np.argsort(true)
        for place, part in enumerate(np.array_split(order, min(5, len(order))), 1):
            mean = float(np.mean(residuals[part]))
            span = f"true {true[part].min():.4g} to {true[part].max():.4g}"
            rows.append((f"mean residual, fifth {place}", span, mean))
        few = (
            f" ({len(some):,} of {len(true):,} examples, drawn at random, as dots)"
            if len(some) < len(true)
            else ""
        )
        yield report.figure(
            f"{task.name}_residuals",
            drawing,
            f"Predicted against true numbers, and residuals: half are within "
            f"{quantiles[1]:.3g} and {quantiles[3]:.3g}",
            "Left: on the dotted line predictions are right"
            + few
            + ". A flatter cloud than the line means that extremes are drawn to the mean. Right: "
            "residuals should be centred at 0.",
            ("quantity", "of", "value"),
            rows,
        )
