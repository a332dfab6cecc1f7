"""Learning curves over the number of training examples."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmjax.config import Experiment
from mmjax.config.sweep import Point
from mmjax.errors import UserError
from mmjax.reports.drawing import Drawing, line
from mmjax.runs import folder
from mmjax.statistics.means import spread
from mmjax.train.loop.many_runs import fit_many
from mmjax.train.loop.stream import training_source

NAME = "curve"  # of the picture


class Size(NamedTuple):
    """What was measured with a number of training examples."""

    share: float
    examples: int
    values: tuple[float, ...]  # the metric on the test split, by seed

    def spread(self) -> dict[str, float]:
        """Mean, and with several seeds standard deviation and the interval of the mean."""
        return spread(self.values)


def measure(
    experiment: Experiment, home: Path, shares: Sequence[float], seeds: int, metric: str | None
) -> tuple[str, list[Size]]:
    """Train with every share and seed, as far as that is not done, and draw `curve.png` in `home`.

    All trainings take the same number of steps. Preprocessing is fitted on the whole training
    split, and seeds share their examples. The metric is by default the first objective's first.

    Raises:
        UserError: no share or two equal ones, data without shares, or no such metric.
    """
    if not shares or len(set(shares)) < len(shares):
        raise UserError(f"--shares {','.join(map(str, shares))}: expected different numbers")
    points = [
        Point({"share": f"{share:g}"}, dataclasses.replace(experiment, share=share))
        for share in sorted(shares)
    ]
    runs = fit_many(points, home, seeds=seeds)
    known = [name for name in runs[0].metrics if not name.endswith("loss")] or [*runs[0].metrics]
    metric = metric or known[0]
    if metric not in runs[0].metrics:
        raise UserError(f"--metric {metric}: choose from {', '.join(runs[0].metrics)}")
    sizes = []
    for point in points:
        own = [run for run in runs if run.values == point.values]
        stored = folder.require(home / own[0].name)
        fitted = folder.preprocessing(home / own[0].name, stored)
        examples = len(training_source(stored, fitted)) if fitted is not None else 0
        values = tuple(run.metrics[metric] for run in own)
        sizes.append(Size(point.experiment.share, examples, values))
    _drawing(metric, sizes).save(home, NAME)
    return metric, sizes


def _drawing(metric: str, sizes: Sequence[Size]) -> Drawing:
    drawing = Drawing()
    (axes,) = drawing.axes
    counts = [size.examples for size in sizes]
    means = [size.spread()["mean"] for size in sizes]
    axes.plot(counts, means, marker="o", **line(0))
    for size in sizes:
        axes.scatter([size.examples] * len(size.values), size.values, s=8, color="#888888")
    axes.set(xscale="log", xlabel="training examples", ylabel=f"{metric}, test split")
    axes.set_xticks(counts, [f"{count:,}" for count in counts], minor=False)
    axes.minorticks_off()
    return drawing
