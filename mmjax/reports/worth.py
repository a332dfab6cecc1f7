"""What each modality of a run brings, against what its encoder costs."""

from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from mmjax.errors import MissingFileError
from mmjax.models.base import Model
from mmjax.reports.describe import Description
from mmjax.reports.report import Report
from mmjax.reports.sections.modalities import worth


class Worth(NamedTuple):
    """A modality in one task."""

    task: str
    modality: str
    measure: str  # what the Shapley value is a share of, such as accuracy
    shapley: float
    gflops: float  # of the encoder's forward pass, per example

    @property
    def rate(self) -> float:
        """Shapley value per GFLOP; infinite for an encoder without counted operations."""
        return self.shapley / self.gflops if self.gflops else float("inf")


def worth_by_cost(run: Path, description: Description, model: Model) -> list[Worth]:
    """Shapley values on 1,000 test examples, drawn at random; the fusion's cost is shared by all.

    Raises:
        MissingFileError: the data of the run are not there.
        UserError: more modalities than have Shapley values.
    """
    report = Report(run)
    if report.absent:
        raise MissingFileError(f"--worth needs the test data: {report.absent}")
    cost = {part.path: part.flops / 1e9 for part in description.parts}
    return [
        Worth(task, name, measure, value, cost.get(model.path_of(name), 0.0))
        for task, measure, values in worth(report)
        for name, value in values.items()
    ]


def worth_table(rows: list[Worth]) -> Table:
    """The rows as a table to print."""
    table = Table("task", "modality", "measure", "Shapley value", "GFLOPs", "value / GFLOP")
    for column in table.columns[3:]:
        column.justify = "right"
    for row in rows:
        numbers = f"{row.shapley:.4f}", f"{row.gflops:.6f}", f"{row.rate:,.1f}"
        table.add_row(row.task, row.modality, row.measure, *numbers)
    return table
