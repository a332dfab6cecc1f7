"""`mmjax index`: vectors of all files of a folder, or of a column of a table."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import options
from mmjax.io.bad_rows import check_report, report_faults


def index(
    run: options.Run,
    source: Annotated[
        Path, tyro.conf.Positional, tyro.conf.arg(help="a folder of pictures, or a table")
    ],
    /,
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    modality: str | None = None,
    column: str | None = None,
    report: Path | None = None,
    checkpoint: str = "last",
    own: options.Own = (),
) -> None:
    """Embed every picture of a folder, or every row of a table, by a run of a dual encoder.

    The index can then be searched by mmjax search. Called again, it embeds only what is new or
    changed, and goes on where it was interrupted.

    Args:
        out: the folder of the index
        modality: which of the run's modalities the files or rows are; by default images
        column: of the table; by default the one that the run was trained on
        report: a CSV file for what cannot be read and is skipped; by default skipped.csv beside
            the index's files
        checkpoint: last, best (by the run's validation metric), whole (the newest that is not
            damaged), or a step
    """
    from mmjax.search import Embedder
    from mmjax.search.build import build

    options.prepare_process(own)
    report = report or out / "skipped.csv"
    check_report(report)
    built = build(Embedder(run, checkpoint), source, out, modality=modality, column=column)
    report_faults(source, built.faults, report)
    count = len(built.index)
    parts = [f"{count:,} {built.index.modality} vectors in {out}", f"{built.embedded:,} new"]
    parts += [f"{built.removed:,} removed"] if built.removed else []
    parts += [f"{len(built.faults):,} skipped"] if built.faults else []
    print(", ".join(parts), file=sys.stderr)
