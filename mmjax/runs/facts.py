"""What a run's data were: kept beside its configuration, compared whenever it is used again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mmjax.data.dataset import SPLITS
from mmjax.errors import UserError
from mmjax.io import json_file

FILE = "data.json"
CHANGED = "changed"


def known(run: Path) -> bool:
    """Whether the run knows its data; those of older versions do not."""
    return (run / FILE).exists()


def changes(run: Path, facts: Mapping[str, Any]) -> list[str]:
    """In what the data differ from those that the run began with; empty if in nothing."""
    return list(_changes(json_file.read(run / FILE), facts)) if known(run) else []


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for split in SPLITS:
        old, new = (facts.get("rows", {}).get(split) for facts in (before, now))
        if old != new:
            yield f"{split}: {old} rows then, {new} now"
    if before.get("digest") != now.get("digest") and before.get("rows") == now.get("rows"):
        yield "as many rows, but others"


def keep(run: Path, facts: Mapping[str, Any], allowed: bool) -> None:
    """Write the facts if the run has none yet; otherwise note in them how the data have changed.

    Raises:
        UserError: the data have changed, and that is not `allowed`.
    """
    different = changes(run, facts)
    if different and not allowed:
        raise UserError(
            f"{run}: the data are not those that this run began with: {'; '.join(different)}. "
            "Restore them, choose another --workdir, or go on with --changed-data"
        )
    if not known(run):
        json_file.write(run / FILE, dict(facts))
    elif different:
        json_file.write(run / FILE, {**json_file.read(run / FILE), CHANGED: different})


def changed_since(run: Path) -> list[str]:
    """How the data of a run that went on with others have changed; empty if they have not."""
    return json_file.read(run / FILE).get(CHANGED, []) if known(run) else []


def table(facts: Mapping[str, Any]) -> Group:
    """The facts for people: a row for each modality and target, then what looks wrong."""
    rows = ", ".join(f"{count:,} {split}" for split, count in facts["rows"].items())
    also = [
        f"{facts[name]:,} {what}"
        for name, what in (
            ("skipped", "skipped"),
            ("masked", "with masked cells"),
            ("duplicates", "duplicates"),
        )
        if facts.get(name)
    ]
    shown: list[Any] = [Text(f"rows: {', '.join([rows, *also])}")]
    if columns := facts.get("columns"):
        grid = Table("column", "kind", "missing", "cut, unknown ...", "", box=None, pad_edge=False)
        for name, column in columns.items():
            flaws = ", ".join(f"{count:,} {flaw}" for flaw, count in column["flaws"].items())
            about = column["about"]
            if "values" in column:
                about = _shares(column)
            missing = f"{column['missing']:,}" if column["missing"] else "-"
            grid.add_row(name, column["kind"], missing, flaws or "-", about)
        shown.append(grid)
    shown += [Text(f"! {warning}", style="yellow") for warning in facts.get("warnings", ())]
    return Group(*shown)


def _shares(column: Mapping[str, Any]) -> str:
    values, total, more = column["values"], column["counted"], column["different"] - 4
    parts = [f"{name} {count / total:.0%}" for name, count in list(values.items())[:4]]
    return ", ".join(parts) + (f", {more:,} more" if more > 0 else "")
