"""`mmjax compare`: whether finished runs differ, by paired tests or over seeds."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import options, tables

Runs = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(help="the folders of runs, or folders that hold runs"),
]


def compare(
    runs: Runs,
    /,
    metric: str | None = None,
    split: str = "test",
    html: Path | None = None,
    resamples: int = 1000,
    own: options.Own = (),
    json: bool = False,
    csv: bool = False,
) -> None:
    """Compare runs on the same test examples: differences, intervals, tests and verdicts.

    Runs that differ only in their seed are one method. Where every method has several seeds, these
    are compared (Welch's test and a permutation test); else the examples are, of the first run of
    each (McNemar's test and a paired bootstrap). p values are corrected by Holm's method.

    Args:
        metric: <objective>/<metric>; by default the first objective's accuracy, r2 or bleu_1
        split: train, validation or test
        html: write this page too
        resamples: of the bootstrap
        json: print one JSON object instead of tables
        csv: print the pairs as CSV instead
    """
    from rich.table import Table

    from mmjax.reports import contrast, contrast_page, page

    tables.require_one(json, csv)
    options.require_folder("--html", html)
    options.prepare_process(own)
    found = contrast.compare(runs, metric, split, resamples)
    if html is not None:
        contrast_page.write(html, found)
        print(f"page: {html}", file=sys.stderr)
    pairs = [dataclasses.asdict(p) | {"verdict": p.verdict} for p in found.pairs]
    if csv:
        tables.print_rows(pairs)
        return
    if json:
        methods = [
            {"name": one.name, "runs": list(map(str, one.runs)), "values": list(one.values)}
            for one in found.methods
        ]
        content = {"metric": found.metric, "split": split, "examples": found.examples}
        tables.print_json(content | {"seeds": found.seeds, "methods": methods, "pairs": pairs})
        return
    print(f"{found.metric}, {found.examples:,} examples of the {split} split")
    for header, rows in (
        (contrast_page.METHODS, contrast_page.methods(found)),
        (contrast_page.PAIRS, contrast_page.pairs(found)),
    ):
        table = Table(*header)
        for row in rows:
            table.add_row(*(one if isinstance(one, str) else page.number(one) for one in row))
        tables.show(table)
    print(f"{contrast_page.words(found)}\n{found.how}")
