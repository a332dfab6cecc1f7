"""`mmjax table`: finished runs in one table."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import tables

Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(help="the folders of finished runs")
]


def table(
    runs: Runs, /, metric: str = "match/accuracy", json: bool = False, csv: bool = False
) -> None:
    """List finished runs: mean and spread over seeds, and what else differs; in a pipe as Markdown.

    Other files and folders, such as the summary of a sweep, are ignored.

    Args:
        metric: a metric of the test split
        json: print one JSON object for each row instead
        csv: print CSV instead
    """
    from rich.table import Table

    from mmjax.reports.summary import summarise

    tables.require_one(json, csv)
    header, rows = summarise(runs, metric)
    if csv:
        tables.print_csv(header, rows)
        return
    if json:
        for row in rows:
            tables.print_json(dict(zip(header, row, strict=True)))
        return
    if sys.stdout.isatty():
        shown = Table(*header)
        for row in rows:
            shown.add_row(*row)
        tables.show(shown)
        return
    for row in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(row) + " |")
