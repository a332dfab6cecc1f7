"""`mmjax table`: finished runs in one table."""

from pathlib import Path
from typing import Annotated

import tyro

Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(help="the folders of finished runs")
]


def table(runs: Runs, /, metric: str = "match/accuracy") -> None:
    """Compare finished runs, as Markdown: mean and spread over seeds, and what else differs.

    Other files and folders, such as the summary of a sweep, are ignored.

    Args:
        metric: a metric of the test split
    """
    from mmjax.reports.summary import summarise

    header, rows = summarise(runs, metric)
    for row in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(row) + " |")
