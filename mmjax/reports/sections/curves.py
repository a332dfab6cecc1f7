"""Loss, and the first metric of each objective, over the steps of the training."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mmjax.reports import page
from mmjax.reports.drawing import Drawing, line
from mmjax.reports.report import Report
from mmjax.runs import log

_ROWS = 40  # of the table


def curves(report: Report) -> Iterator[str]:
    """One figure of the log."""
    path: Path = report.run / log.FILE
    records = log.read(path) if path.is_file() else []
    if not records:
        yield page.paragraph("The run has no log of its training.")
        return
    known = dict.fromkeys(name for record in records for name in record)
    names = ["loss", *filter(None, (_first(known, one) for one in report.experiment.objectives))]
    drawing, rows = Drawing(len(names)), []
    for axes, name in zip(drawing.axes, names, strict=True):
        for place, split in enumerate(("train", "validation")):
            points = [(r["step"], r[name]) for r in records if r["split"] == split and name in r]
            rows += [(name, split, *point) for point in points[:: len(points) // _ROWS + 1]]
            if points:
                mark = "o" if split == "validation" or len(points) == 1 else ""
                axes.plot(*zip(*points, strict=True), label=split, marker=mark, **line(place))
        axes.set(xlabel="step", ylabel=name)
    drawing.legend()
    best = [r["loss"] for r in records if r["split"] == "validation" and "loss" in r]
    alt = f"Curves of {', '.join(names)}"
    alt += f"; the lowest validation loss is {min(best):.4g}" if best else ""
    how = "A validation loss that rises while the training loss falls is overfitting."
    header = ("quantity", "split", "step", "value")
    yield report.figure("curves", drawing, alt, how, header, rows)


def _first(known: Iterable[str], objective: str) -> str | None:
    """The first quantity of an objective that was logged, beside its loss."""
    own = (name for name in known if name.startswith(f"{objective}/") and name.count("/") == 1)
    return next((name for name in own if not name.endswith(("/loss", "/invalid"))), None)
