"""What was trained on a table: the models, their validations and tests."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from mmjax.config import Experiment
from mmjax.errors import UserError


class Look(NamedTuple):
    """A validation: the metric by which models are compared, and the loss."""

    step: int
    value: float
    loss: float


class Trained(NamedTuple):
    """A model that was trained."""

    name: str
    run: Path
    looks: tuple[Look, ...]  # the last one after its last step
    test: Mapping[str, float]
    experiment: Experiment


def keep_best(trained: list[Trained], home: Path) -> Path:
    """Move the folder of the best run to `home/best`."""
    best = home / "best"
    if best.exists():
        raise UserError(f"{best}: exists; choose another folder with --out")
    shutil.move(trained[0].run, best)
    return best


def results(trained: list[Trained], metric: str) -> dict[str, Any]:
    """The validation metric and the test metrics of all models as JSON, best first."""
    return {
        "metric": metric,
        "models": [
            {
                "model": one.name,
                "validation": one.looks[-1].value,
                "validation loss": one.looks[-1].loss,
                "test": dict(one.test),
            }
            for one in trained
        ],
    }


def table(trained: list[Trained], metric: str) -> Table:
    """The models with the metric by which they are compared, and the loss, best first."""
    shown = Table("model", "steps", f"validation {metric}", "its loss", f"test {metric}")
    for one in trained:
        _, value, loss = one.looks[-1]
        steps, test = f"{one.experiment.steps:,}", f"{one.test[metric]:.4f}"
        shown.add_row(one.name, steps, f"{value:.4f}", f"{loss:.4f}", test)
    return shown
