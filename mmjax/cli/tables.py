"""Prints tables as aligned text; names are never shortened."""

import csv
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from mmjax.errors import UserError
from mmjax.io import json_file


def show(table: Any) -> None:
    """Print a table: as wide as the terminal, with long names folded; in a pipe unlimited."""
    console = Console(file=sys.stdout)
    for column in table.columns if isinstance(table, Table) else ():
        column.overflow = "fold"
    if not sys.stdout.isatty():
        wide = Console(file=sys.stdout, width=10_000)
        needed = Measurement.get(wide, wide.options, table).maximum
        console = Console(file=sys.stdout, width=max(needed, 1))
    console.print(table)


def wrapped(name: str, text: str) -> str:
    """A name and a text, broken beside it at the terminal's width; in a pipe one line."""
    if not sys.stdout.isatty():
        return name + text
    width = max(shutil.get_terminal_size().columns, len(name) + 20)
    return textwrap.fill(text, width, initial_indent=name, subsequent_indent=" " * len(name))


def metrics(values: Mapping[str, float], title: str) -> None:
    """Print metrics, one per line."""
    table = Table("metric", "value")
    table.columns[1].justify = "right"
    for name, value in values.items():
        is_count = name.split("/")[-1].startswith(("true_", "false_"))
        table.add_row(name, f"{value:.0f}" if is_count else f"{value:.6f}")
    print(title)
    show(table)


def print_json(value: Mapping) -> None:
    """Print one JSON object on a line; NaN and infinity are null."""
    print(json.dumps(json_file.plain(value), allow_nan=False))


def print_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as CSV, NaN as an empty cell."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell != cell else cell for cell in row] for row in rows])


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of the same columns as CSV; nothing where there is no row."""
    if rows:
        print_csv(list(rows[0]), [list(row.values()) for row in rows])


def require_one(json: bool, csv: bool) -> None:
    """UserError where both forms are asked for."""
    if json and csv:
        raise UserError("--json, --csv: choose one of them")
