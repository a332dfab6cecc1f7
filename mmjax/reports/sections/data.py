"""What the run was trained on: the table of what was read."""

from collections.abc import Iterator

from mmjax.io import json_file
from mmjax.reports import page
from mmjax.reports.report import Report
from mmjax.runs import facts


def data(report: Report) -> Iterator[str]:
    """Rows by split, columns with what was missing or cut, and warnings."""
    if not facts.known(report.run):
        yield page.paragraph("The run is of an older version and does not say what it read.")
        return
    found = json_file.read(report.run / facts.FILE)
    yield page.table(("split", "rows"), list(found["rows"].items()))
    others = [(what, found[what]) for what in ("skipped", "masked", "duplicates") if what in found]
    if others:
        yield page.table(("rows that were", "count"), others)
    rows = []
    for name, column in found.get("columns", {}).items():
        flaws = ", ".join(f"{count:,} {flaw}" for flaw, count in column["flaws"].items()) or "-"
        values = ", ".join(f"{value} {n:,}" for value, n in column.get("values", {}).items())
        rows.append((name, column["kind"], column["missing"], flaws, values or column["about"]))
    if rows:
        yield page.table(("column", "kind", "missing", "cut, unknown ...", ""), rows, "Columns")
    for warning in found.get("warnings", ()):
        yield page.paragraph(warning, "warning")
    if digest := found.get("digest"):
        yield page.paragraph(f"Digest of all rows: {digest}", "quiet")
