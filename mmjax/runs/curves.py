"""Plots the learning curves of a run."""

from pathlib import Path

from mmjax.runs import log

FILE = "curves.png"


def draw(run: Path) -> Path:
    """Plot loss and accuracies over steps, training and validation; returns the picture's path."""
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    records = log.read(run / log.FILE)
    names = {name for record in records for name in record}
    panels = ["loss", *sorted(name for name in names if name.endswith("/accuracy"))]
    figure = Figure(figsize=(5 * len(panels), 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for split, style in (("train", "-"), ("validation", "o-")):
            points = [(r["step"], r[name]) for r in records if r["split"] == split and name in r]
            if points:
                axes.plot(*zip(*points, strict=True), style, label=split, markersize=3)
        axes.set(xlabel="step", ylabel=name)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(run.name)
    figure.savefig(run / FILE, dpi=120)
    return run / FILE
