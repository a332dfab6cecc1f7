"""A page of what a table holds: examples of every split as they look. It needs no server."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.dataset import SPLITS
from mmjax.data.datasets import TableData
from mmjax.reports import page
from mmjax.reports.shown import shown

_EXAMPLES = 12  # of each split


def write(path: Path, data: TableData) -> None:
    """Write the page: counts of every column, what looks wrong, then examples."""
    sections = [("What was read", "".join(_counts(data.facts())))]
    for split in SPLITS:
        source = data.source(split)
        count = len(source)
        places = np.unique(np.linspace(0, count - 1, min(count, _EXAMPLES)).astype(int))
        found = source.read(places, None)
        values = {**found.inputs, **found.targets}
        examples = page.cards(_example(values, row) for row in range(len(places)))
        sections.append((f"{split}: {count:,} rows", examples))
    page.write(path, data.file, "", sections)


def _counts(facts: Mapping[str, Any]) -> Iterator[str]:
    for warning in facts["warnings"]:
        yield page.paragraph(warning, "warning")
    counted = {"rows": sum(facts["rows"].values())}
    counted |= {what: facts[what] for what in ("skipped", "masked", "duplicates") if facts[what]}
    yield page.paragraph(", ".join(f"{what}: {count:,}" for what, count in counted.items()))
    rows = []
    for name, column in facts["columns"].items():
        flaws = ", ".join(f"{count:,} {flaw}" for flaw, count in column["flaws"].items()) or "-"
        values = ", ".join(f"{key} {count:,}" for key, count in column.get("values", {}).items())
        more = column.get("different", 0) - len(column.get("values", {}))
        values += f", {more:,} more" if more else ""
        rows.append((name, column["kind"], column["missing"], flaws, values or column["about"]))
    yield page.table(("column", "kind", "missing", "cut, unknown ...", "values"), rows)


def _example(values: Mapping[str, Any], row: int) -> str:
    """Name and value of each modality and target."""
    return "".join(
        f"<p><small>{html.escape(name)}</small><br>{shown(rows[row], name)}</p>"
        for name, rows in values.items()
    )
