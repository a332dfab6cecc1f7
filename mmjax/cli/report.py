"""`mmjax report`: a page about a finished run."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import options, tables


def report(
    run: options.Run,
    /,
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None,
    figures: Path | None = None,
    split: str = "test",
    checkpoint: str = "last",
    data_dir: str | None = None,
    by: tuple[str, ...] = (),
    group: str | None = None,
    sample: int = 1000,
    resamples: int = 1000,
    calibrated: bool = True,
    own: options.Own = (),
    json: bool = False,
) -> None:
    """Write a page about a run: metrics with intervals, mistakes, modalities, cost.

    Args:
        out: the page; by default report.html in the run's folder
        figures: folder for the drawings as PNG and SVG
        split: train, validation or test
        checkpoint: last, best (by the run's validation metric), whole (the newest that is not
            damaged), or a step
        data_dir: folder of the data; by default as in the training
        by: further columns of the table, to compare groups of its rows
        group: column of the table whose equal values, such as a person, are drawn together
        sample: examples, drawn at random, of analyses that need many passes, such as those of
            hidden modalities
        resamples: of the bootstrap
        calibrated: probabilities as mmjax calibrate has made them, if it has; else the model's own
        json: print the metrics and their intervals as one JSON object too
    """
    from mmjax.errors import UserError
    from mmjax.reports.report import Report
    from mmjax.reports.sections import SECTIONS

    for name, value in (("--sample", sample), ("--resamples", resamples)):
        if value < 1:
            raise UserError(f"{name}: expected at least 1, got {value}")
    options.require_folder("--out", out)
    if figures is not None and figures.exists() and not figures.is_dir():
        raise UserError(f"--figures {figures}: expected a folder")
    options.prepare_process(own)
    page = out or run / "report.html"
    made = Report(
        run,
        split,
        checkpoint=checkpoint,
        data_dir=data_dir,
        sample=sample,
        by=by,
        group=group,
        resamples=resamples,
        figures=figures,
        calibrated=calibrated,
    )
    size = made.write(page, SECTIONS)
    words = sys.stderr if json else sys.stdout
    if json:
        found = {} if made.absent else {one.name: one.intervals for one in made.tasks}
        tables.print_json({n: {m: v._asdict() for m, v in own.items()} for n, own in found.items()})
    if made.absent:
        print(f"without the data: {made.absent}", file=sys.stderr)
    elif any(task.family == "classes" for task in made.tasks):
        print(f"probabilities: {made.probabilities}", file=words)
    print(f"report: {page}  ({size / 1e6:.1f} MB)", file=words)
