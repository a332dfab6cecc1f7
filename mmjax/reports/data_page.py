"""A page of what a table holds: examples of every split as they look. It needs no server."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.dataset import SPLITS
from mmjax.data.datasets import TableData
from mmjax.reports.shown import shown

_EXAMPLES = 12  # of each split
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #222; background: #fff }
table { border-collapse: collapse; margin: .6rem 0 1.6rem }
td, th { border-bottom: 1px solid #ddd; padding: .3rem .8rem .3rem 0; text-align: left;
  vertical-align: top }
img { image-rendering: pixelated; min-width: 96px; max-width: 160px }
.warning { background: #fff3c4; padding: .3rem .6rem; margin: .3rem 0 }
.missing { color: #999 }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818 } td, th { border-color: #444 }
  .warning { background: #4a3c00 }
}
"""


def write(path: Path, data: TableData) -> None:
    """Write the page: counts of every column, what looks wrong, then examples."""
    facts = data.facts()
    body = [f"<h1>{html.escape(data.file)}</h1>", *_counts(facts)]
    for split in SPLITS:
        source = data.source(split)
        count = len(source)
        places = np.unique(np.linspace(0, count - 1, min(count, _EXAMPLES)).astype(int))
        found = source.read(places, None)
        values = {**found.inputs, **found.targets}
        body += [f"<h2>{split}: {count:,} rows</h2>", *_table(values, len(places))]
    title = html.escape(data.file)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    path.write_text(page, encoding="utf-8", errors="backslashreplace")


def _counts(facts: Mapping[str, Any]) -> Iterator[str]:
    for warning in facts["warnings"]:
        yield f'<p class="warning">{html.escape(warning)}</p>'
    counted = {"rows": sum(facts["rows"].values())}
    counted |= {what: facts[what] for what in ("skipped", "masked", "duplicates") if facts[what]}
    yield f"<p>{', '.join(f'{what}: {count:,}' for what, count in counted.items())}</p>"
    yield "<table><tr><th>column<th>kind<th>missing<th>cut, unknown ...<th></tr>"
    for name, column in facts["columns"].items():
        flaws = ", ".join(f"{count:,} {flaw}" for flaw, count in column["flaws"].items()) or "-"
        values = ", ".join(f"{key} {count:,}" for key, count in column.get("values", {}).items())
        more = column.get("different", 0) - len(column.get("values", {}))
        values += f", {more:,} more" if more else ""
        cells = (name, column["kind"], f"{column['missing']:,}", flaws, values or column["about"])
        yield "<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in cells) + "</tr>"
    yield "</table>"


def _table(values: Mapping[str, Any], count: int) -> Iterator[str]:
    yield "<table><tr>" + "".join(f"<th>{html.escape(name)}" for name in values) + "</tr>"
    for row in range(count):
        cells = "".join(f"<td>{shown(rows[row], name)}" for name, rows in values.items())
        yield f"<tr>{cells}</tr>"
    yield "</table>"
