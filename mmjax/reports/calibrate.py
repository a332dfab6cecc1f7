"""Fits the calibration of a run to its validation split, and measures it on the test split."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmjax.errors import MissingFileError, UserError
from mmjax.evaluation.calibration import Calibration, Classes, Kind, fit_classes
from mmjax.metrics import calibration_error
from mmjax.reports import page
from mmjax.reports.report import Report
from mmjax.reports.task import Task
from mmjax.runs.restore import step_of
from mmjax.statistics import conformal

_FEWEST = 20  # examples to fit to
_ENOUGH = 2000  # for isotonic regression, half of which fit it


class Row(NamedTuple):
    """What was measured, with the ends of its interval."""

    objective: str
    quantity: str
    value: float
    low: float
    high: float


HEADER = ("objective", "on the test split", "value", "95 % interval")


def calibrate(
    run: Path,
    kind: Kind = "temperature",
    alpha: float = 0.1,
    *,
    checkpoint: str = "last",
    data_dir: str | None = None,
    resamples: int = 1000,
) -> tuple[Calibration, list[Row]]:
    """Fit, save with the run, and measure before and after.

    Classes: one half of the validation examples, drawn at random, fits the probabilities, the other
    the conformal sets. Numbers: all fit the intervals. Rows of one group stay in one half.

    Raises:
        UserError: the run has no objective of classes or numbers, or too few examples; or alpha is
            not in 0..1.
        MissingFileError: the data are not at hand.
    """
    if not 0 < alpha < 1:
        raise UserError(f"--alpha: expected more than 0 and less than 1, got {alpha}")
    reports = [
        Report(
            run,
            split,
            checkpoint=checkpoint,
            data_dir=data_dir,
            resamples=resamples,
            calibrated=False,
        )
        for split in ("validation", "test")
    ]
    if reports[0].absent:
        raise MissingFileError(reports[0].absent)
    classes: dict[str, Classes] = {}
    numbers: dict[str, float | None] = {}
    rows: list[Row] = []
    for fitted, new in zip(*(report.tasks for report in reports), strict=True):
        if fitted.family not in ("classes", "numbers"):
            continue
        if len(fitted.rows) < _FEWEST or not len(new.rows):
            raise UserError(
                f"{run}: {fitted.name}: expected {_FEWEST} validation examples and a test example, "
                f"got {len(fitted.rows)} and {len(new.rows)}"
            )
        if fitted.family == "classes":
            if kind == "isotonic" and len(fitted.rows) < _ENOUGH:
                text = f"isotonic from {len(fitted.rows) // 2} examples: temperature is safer"
                print(f"{run}: {fitted.name}: {text}", file=sys.stderr)
            own = fit_classes(fitted.logits, fitted.labels, kind, alpha, _half(fitted))
            classes[fitted.name] = own
            rows += _of_classes(new, own)
        else:
            predicted, true = fitted.numbers
            half = conformal.fit_numbers(predicted, true, alpha)
            numbers[fitted.name] = None if np.isinf(half) else half
            inside = (np.abs(new.numbers[0] - new.numbers[1]) <= half).astype(np.float64)
            rows.append(_row(new, f"coverage of +- {page.number(half)}", inside))
    if not classes and not numbers:
        raise UserError(f"{run}: only objectives of classes and numbers can be calibrated")
    step = step_of(run, reports[0].experiment, checkpoint)
    result = Calibration(step, "validation", alpha, classes, numbers)
    result.save(run)
    return result, rows


def _half(task: Task) -> np.ndarray:
    """Which examples fit the probabilities: half of the rows, or of the groups."""
    units = task.rows if task.groups is None else [task.groups[row] for row in task.rows]
    different = list(dict.fromkeys(np.asarray(units).tolist()))
    first = np.random.default_rng(0).permutation(len(different))[: len(different) // 2]
    chosen = {different[place] for place in first}
    return np.array([unit in chosen for unit in np.asarray(units).tolist()])


def _of_classes(task: Task, own: Classes) -> Iterator[Row]:
    """Calibration error and log loss before and after, then coverage and size of the sets."""
    labels, before, after = task.labels, task.probabilities, own(task.logits)
    drawn = task.drawing(task.rows)
    for what, p in (("before", before), ("after", after)):
        right, sure = (p.argmax(axis=1) == labels).astype(np.float64), p.max(axis=1)

        def error(rows: np.ndarray, right: Any = right, sure: Any = sure) -> float:
            return calibration_error(sure[rows], right[rows], np.ones(len(rows)))

        yield Row(task.name, f"calibration error, {what}", *drawn.interval(error, len(labels)))
        of_truth = np.maximum(p[np.arange(len(labels)), labels], 1e-12)
        yield _row(task, f"log loss, {what}", -np.log(of_truth))
        yield _row(task, f"accuracy, {what}", right)
    sets = own.sets(after)
    inside = sets[np.arange(len(labels)), labels].astype(np.float64)
    yield _row(task, "coverage of the sets", inside)
    yield _row(task, "classes in a set", sets.sum(axis=1).astype(np.float64))


def _row(task: Task, name: str, values: np.ndarray) -> Row:
    drawn = task.drawing(task.rows)
    mean = drawn.interval(lambda rows: float(np.mean(values[rows])), len(values))
    return Row(task.name, name, *mean)


def listed(rows: Sequence[Row]) -> list[list[str]]:
    """The rows as texts."""
    return [
        [one.objective, one.quantity, page.number(one.value), page.interval(one.low, one.high)]
        for one in rows
    ]
