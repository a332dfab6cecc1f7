"""Tables for people: aligned text whose names are never cut, on a terminal and in a pipe."""

import sys
from collections.abc import Mapping

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from mmjax.io import json_file


def show(table: Table, *, error: bool = False) -> None:
    """Print a table: as wide as the terminal with long names folded, or in a pipe as it needs."""
    stream = sys.stderr if error else sys.stdout
    console = Console(file=stream)
    for column in table.columns:
        column.overflow = "fold"
    if not stream.isatty():
        wide = Console(file=stream, width=10_000)
        needed = Measurement.get(wide, wide.options, table).maximum
        console = Console(file=stream, width=max(needed, 1))
    console.print(table)


def metrics(values: Mapping[str, float], title: str) -> None:
    """Print metrics, one a line."""
    table = Table("metric", "value")
    table.columns[1].justify = "right"
    for name, value in values.items():
        count = name.split("/")[-1].startswith(("true_", "false_"))
        table.add_row(name, f"{value:.0f}" if count else f"{value:.6f}")
    print(title)
    show(table)


def print_json(value: Mapping) -> None:
    """Print one JSON object on a line; a number that is not defined is null."""
    import json

    print(json.dumps(json_file.plain(value), allow_nan=False))
