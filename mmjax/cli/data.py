"""`mmjax data`: what a table holds, without training."""

from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import options

Table = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(
        help="a CSV, TSV, JSON lines, Parquet, .npz, HDF5 or array_record file, a folder, a .tar"
    ),
]


def data(
    table: Table,
    /,
    target: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    split: str | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
    html: Path | None = None,
    json: bool = False,
) -> None:
    """Show what a table holds: rows, kinds of columns, what is missing, cut, unknown or unreadable.

    Args:
        target: columns to predict; all others are what is predicted from
        columns: which column is of which kind, such as image:image caption:text label:class; by
            default they are guessed
        split: column that says train, validation or test; by default splits are drawn
        separator: of a CSV file; by default it is found from the header
        encoding: of text files, such as cp1252
        html: a page to write, with examples as they look
        json: print one JSON object
    """
    from mmjax.cli import tables
    from mmjax.config.columns import parsed
    from mmjax.data.datasets import TableData
    from mmjax.data.tables import guess
    from mmjax.io.tables import Format
    from mmjax.reports import data_page
    from mmjax.runs import facts

    options.prepare_process()
    path, form = Path(table), Format(separator, encoding)
    split = split or guess.split_column(path, form)
    if columns:
        found, unused = parsed(columns), []
    else:
        ignored = () if split is None else (split,)
        found, unused = guess.everything(path, form, target, ignored)
    made = TableData(
        table, columns=found, split=split, separator=separator, encoding=encoding, on_bad_row="mask"
    )
    known = dict(made.facts())
    if json:
        tables.print_json(known)
    else:
        print(
            f"--data.columns {guess.described(found)}" + (f" --data.split {split}" if split else "")
        )
        if unused:
            print(f"not used: {', '.join(unused)}")
        tables.show(facts.table(known))
        for fault in made.faults[:10]:
            print(
                f"! {table}:{fault.line}: {fault.column or 'row'} {fault.outcome}: {fault.reason}"
            )
        if len(made.faults) > 10:
            print(f"! and {len(made.faults) - 10:,} more unreadable cells or rows")
    if html is not None:
        data_page.write(html, made)
        print(f"page: {html}")
