"""What the model costs: parameters, operations, memory, examples per second."""

import time
from collections.abc import Iterator

from mmjax.io import json_file
from mmjax.reports import page
from mmjax.reports.describe import describe
from mmjax.reports.report import Report
from mmjax.runs import folder


def cost(report: Report) -> Iterator[str]:
    """A table of the parts, and one of the whole."""
    found = describe(report.experiment, report.preprocessing, memory=False)
    header = ("module", "kind", "returns", "parameters", "MFLOPs / example")
    rows = [(p.path, p.kind, p.output, p.parameters, p.flops / 1e6) for p in found.parts]
    rows.append(("whole model", "", "", found.parameters, found.flops / 1e6))
    yield page.table(header, rows, "A forward pass")
    facts = []
    stored = report.run / folder.RESULTS
    if stored.is_file():
        facts.append(("minutes of training", float(json_file.read(stored)["training_minutes"])))
    if not report.absent:
        report.examined.changed()  # compiled, and read
        begin = time.perf_counter()
        report.examined.changed()
        speed = report.count / (time.perf_counter() - begin)
        facts.append(("examples / s of evaluation, on this machine", round(speed)))
        memory = report.examined.memory()
        if memory is not None:
            facts.append(("MiB of an evaluation's program, of one batch", memory / 2**20))
    if facts:
        yield page.table(("", "value"), facts)
