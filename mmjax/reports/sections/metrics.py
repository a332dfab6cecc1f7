"""Every metric with its interval; without the data those that the training has stored."""

from collections.abc import Iterator

from mmjax.io import json_file
from mmjax.reports import page
from mmjax.reports.report import Report
from mmjax.runs import folder


def metrics(report: Report) -> Iterator[str]:
    """A table for each objective."""
    if report.absent:
        stored = report.run / folder.RESULTS
        if stored.is_file():
            found = json_file.read(stored)["metrics"]
            rows = [(name, float("nan") if v is None else v) for name, v in found.items()]
            yield page.table(("metric", "value"), rows, "Test split, as measured after training")
        return
    for task in report.tasks:
        found = task.intervals
        if not found:
            yield page.paragraph(f"{task.name}: no example of this split has the target.")
            continue
        drawing = task.drawing(task.rows)
        how = "groups are drawn whole" if task.groups is not None else "examples are drawn alone"
        if drawing.strata is not None:
            how += "; classes keep their sizes, so that intervals are for as many of each class"
        if task.family == "pairs":
            how = "queries are drawn, the gallery that is searched stays"
        rows = [
            (name, value, page.interval(low, high)) for name, (value, low, high) in found.items()
        ]
        title = f"{task.name}: {len(task.rows):,} examples; {how}"
        yield page.table(("metric", "value", "95 % interval"), rows, title)
        undefined = [name for name, one in found.items() if one.value != one.value]
        if undefined:
            yield page.paragraph(
                f"Not defined on these examples: {', '.join(undefined)}. A rank needs examples of "
                "both sides, a correlation needs values that differ."
            )
        if len(task.rows) < 30:
            yield page.paragraph(
                f"With {len(task.rows)} examples intervals are rough guesses, and too narrow.",
                "warning",
            )
