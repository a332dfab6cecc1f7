"""`mmjax fit`: from a table to a trained model in one command."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mmjax.cli import options
from mmjax.cli.data import Table


def fit(
    table: Table,
    /,
    target: str,
    minutes: float = 5.0,
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))] = Path("runs/fit"),
    columns: tuple[str, ...] = (),
    split: str | None = None,
    group: str | None = None,
    on_bad_row: Literal["stop", "skip", "mask"] = "stop",
    separator: str | None = None,
    encoding: str = "utf-8",
    seed: int = 0,
    write: Path | None = None,
) -> None:
    """Train a few models that predict a column of a table, and keep the best by validation.

    Encoders follow from the kinds of the columns, head and metrics from the target. Each modality
    alone is trained too, and a late fusion, so that it shows what joining them is worth.

    Args:
        target: the column to predict
        minutes: about how long it may take
        out: folder for the runs; the best is in its folder best/
        columns: which column is of which kind, as in mmjax data; by default they are guessed
        split: column that says train, validation or test; by default splits are drawn
        group: column whose equal values stay in one split, such as a person
        on_bad_row: for a row that cannot be read: stop, skip it, or mask the cell
        separator: of a CSV file; by default it is found from the header
        encoding: of text files, such as cp1252
        seed: random seed
        write: a Python file for the best experiment, to be read and edited
    """
    from rich.console import Console

    from mmjax.assemble import outcome, search, written
    from mmjax.cli import tables
    from mmjax.data.datasets import TableData
    from mmjax.data.tables import guess
    from mmjax.devices import cpu
    from mmjax.errors import UserError
    from mmjax.io import json_file
    from mmjax.io.tables import Format
    from mmjax.runs import facts
    from mmjax.runs.stop import Interrupted

    options.prepare_process()
    cpu.keep_memory()
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: expected a new or empty folder; choose another with --out")
    form = Format(separator, encoding)
    split = split or guess.split_column(Path(table), form)
    ignored = [name for name in (split, group) if name is not None]
    found = _columns(columns, target) or _guessed(Path(table), form, target, ignored)
    found = guess.sized(Path(table), form, found)
    where = Path(table).absolute()
    data = TableData(
        where.name,
        str(where.parent),
        found,
        split=split,
        group=group,
        on_bad_row=on_bad_row,
        separator=separator,
        encoding=encoding,
    )
    searching = search.Search(data, out, seed=seed)
    Console(stderr=True).print(facts.table(data.facts()))
    try:
        trained = searching.run(minutes, _say)
    except (Interrupted, KeyboardInterrupt) as stopped:
        _say(f"stopped; the models that were trained are in {out}")
        sys.exit(128 + getattr(stopped, "signal", signal.SIGINT))
    best = outcome.keep_best(trained, out)
    tables.show(outcome.table(trained, searching.answer.metric))
    json_file.write(out / "models.json", outcome.results(trained, searching.answer.metric))
    print(f"best: {trained[0].name}, in {best}; predict with: mmjax predict {best} --batch FILE")
    if write is not None:
        about = f"{trained[0].name}: {target} from {where.name}, as mmjax fit chose it."
        write.write_text(written.python(trained[0].experiment, about), encoding="utf-8")
        print(f"experiment: {write}")


def _columns(given: tuple[str, ...], target: str) -> dict[str, Any]:
    """The columns that the user names; UserError unless one of them, the target, is a target."""
    from mmjax.config.columns import parsed
    from mmjax.errors import UserError

    found = parsed(given) if given else {}
    targets = [name for name, kind in found.items() if kind.target]
    if found and targets != [target]:
        said = ", ".join(targets) or "none"
        raise UserError(f"--columns: expected one target, {target}:KIND, got {said}")
    return found


def _guessed(table: Path, form: Any, target: str, ignored: list[str]) -> dict[str, Any]:
    """The columns by their names and first cells; says what was guessed, and what is not used."""
    from mmjax.data.tables import guess

    found, unused = guess.everything(table, form, (target,), ignored)
    _say(f"--data.columns {guess.described(found)}")
    if unused:
        _say(f"not used: {', '.join(unused)}")
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr)
