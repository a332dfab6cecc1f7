"""Are these methods different? Runs compared on the same examples, or over seeds."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmjax.config import storage
from mmjax.errors import MissingFileError, UserError
from mmjax.evaluation.examined import take
from mmjax.metrics.direction import lower_is_better
from mmjax.metrics.retrieval import summary_of
from mmjax.objectives.pairs import Pairs
from mmjax.reports.report import Report
from mmjax.reports.sameness import require_same
from mmjax.reports.task import Task
from mmjax.runs import folder
from mmjax.statistics.hypotheses import (
    SIGNIFICANCE,
    cohen_d,
    holm,
    mcnemar,
    paired_d,
    permutation,
    welch,
)

# The metric that is the mean of `Task.scores`, by family.
_MEANS = {"classes": "accuracy", "numbers": "mae", "labels": "accuracy", "texts": "exact_match"}


@dataclasses.dataclass(frozen=True)
class Method:
    """Runs that differ only in their seed, and the metric of each."""

    name: str
    runs: Sequence[Path]
    tasks: Sequence[Task]
    values: Sequence[float]
    interval: tuple[float, float]  # of the first run's value, by the bootstrap


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two methods: left - right, and whether chance explains it."""

    left: str
    right: str
    difference: float
    low: float  # of the difference; NaN over seeds
    high: float
    p: float  # of the test that decides: Welch's over seeds, McNemar's or the bootstrap's else
    other: float  # of the second test: the permutation test, or the bootstrap; else NaN
    effect: float  # Cohen's d, over seeds or, of a mean over examples, over these; else NaN
    corrected: float = float("nan")  # p after Holm's correction for the number of pairs
    lower: bool = False  # whether lower values are better

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.corrected < SIGNIFICANCE:
            return "not distinguishable"
        best = self.left if (self.difference > 0) != self.lower else self.right
        return f"{best} is better"


@dataclasses.dataclass(frozen=True)
class Contrast:
    """All methods, best first, and all pairs of them."""

    metric: str
    split: str
    examples: int
    methods: Sequence[Method]
    pairs: Sequence[Pair]
    unchecked: Sequence[str] = ()  # modalities that methods read in different forms

    @property
    def seeds(self) -> bool:
        """Whether seeds are the units: every method has several."""
        return all(len(method.values) > 1 for method in self.methods)

    @property
    def how(self) -> str:
        """What was tested, in a sentence."""
        if self.seeds:
            tests = "Units are the seeds: p of Welch's test; second p of a permutation test"
        else:
            tests = (
                f"Units are the {self.examples:,} examples that all runs were tested on, of the "
                "first seed each: p of McNemar's exact test for an accuracy, else of a paired "
                "bootstrap; second p of the bootstrap"
            )
        if self.unchecked:
            alike = ", ".join(self.unchecked)
            tests += f"; whether the examples' {alike} are the same could not be checked"
        return f"{tests}; corrected for {len(self.pairs)} comparisons by Holm's method."


def compare(
    paths: Sequence[Path], metric: str | None = None, split: str = "test", resamples: int = 1000
) -> Contrast:
    """Compare runs, or folders of runs such as those of seeds and sweeps.

    Args:
        paths: runs that differ only in their seed become one method
        metric: `<objective>/<metric>`; by default what a report shows of the first objective
        split: train, validation or test
        resamples: of the bootstrap

    Raises:
        UserError: fewer than two methods, an unknown metric, or runs with other examples.
    """
    runs = list(dict.fromkeys(run for path in paths for run in _runs(path)))
    grouped: dict[str, list[Path]] = {}
    for run in runs:
        identity = storage.identity(folder.require(run))
        grouped.setdefault(repr({**identity, "seed": 0}), []).append(run)
    if len(grouped) < 2:
        raise UserError(
            f"compare: expected runs of two or more methods, got {len(runs)} of one; seeds of one "
            "method are summarised by mmjax table"
        )
    reports = {run: Report(run, split, resamples=resamples, calibrated=False) for run in runs}
    for report in reports.values():
        if report.absent:
            raise MissingFileError(report.absent)
    unchecked = require_same(list(reports.values()))
    first = reports[runs[0]].tasks[0]
    name, _, quantity = (metric or f"{first.name}/{first.worth_name}").partition("/")
    methods = []
    for label, own in zip(_labels(list(grouped.values())), grouped.values(), strict=True):
        tasks = [_task(reports[run], name) for run in own]
        values = [_value(task, quantity, task.records, own[0]) for task in tasks]
        drawn = tasks[0].drawing(tasks[0].rows)
        _, low, high = drawn.interval(_measured(tasks[0], quantity), len(tasks[0].rows))
        methods.append(Method(label, own, tasks, values, (low, high)))
    lower = lower_is_better(quantity)
    methods.sort(key=lambda method: float(np.mean(method.values)), reverse=not lower)
    seeds = all(len(method.values) > 1 for method in methods)
    pairs = [
        _over_seeds(a, b) if seeds else _over_examples(a, b, quantity)
        for a, b in itertools.combinations(methods, 2)
    ]
    corrected = holm([pair.p for pair in pairs])
    pairs = [
        dataclasses.replace(pair, corrected=p, lower=lower)
        for pair, p in zip(pairs, corrected, strict=True)
    ]
    count = len(methods[0].tasks[0].rows)
    return Contrast(f"{name}/{quantity}", split, count, methods, pairs, unchecked)


def _runs(path: Path) -> list[Path]:
    """The run, or the finished runs in a folder."""
    if (path / folder.CONFIG).is_file():
        return [path]
    inner = sorted(one.parent for one in path.glob(f"*/{folder.CONFIG}"))
    if not inner:
        raise UserError(f"{path}: expected a run, or a folder of runs; it holds no {folder.CONFIG}")
    return inner


def _labels(groups: Sequence[Sequence[Path]]) -> list[str]:
    """Short different names of methods: their paths without what all share, and without seeds."""
    parts = [[re.sub(r"(^|,)seed-\d+$", "", part) for part in own[0].parts] for own in groups]
    parts = [[part for part in one if part] for one in parts]
    while all(len(one) > 1 for one in parts) and len({one[0] for one in parts}) == 1:
        parts = [one[1:] for one in parts]
    while all(len(one) > 1 for one in parts) and len({one[-1] for one in parts}) == 1:
        parts = [one[:-1] for one in parts]
    names = ["/".join(one) for one in parts]
    if len(set(names)) == len(names):
        return names
    return [f"{name} ({own[0].name})" for name, own in zip(names, groups, strict=True)]


def _task(report: Report, name: str) -> Task:
    found = {task.name: task for task in report.tasks}
    if name not in found:
        raise UserError(f"{report.run}: no objective {name!r}; choose from {', '.join(found)}")
    return found[name]


def _value(task: Task, quantity: str, records: Mapping[str, np.ndarray], run: Path) -> float:
    if quantity == task.worth_name:
        return task.worth(records)
    found = task.metrics(records)
    if quantity not in found:
        choices = ", ".join(f"{task.name}/{name}" for name in found)
        raise UserError(f"{run}: no metric {task.name}/{quantity}; choose from {choices}")
    return found[quantity]


def _measured(task: Task, quantity: str) -> Callable[[np.ndarray], float]:
    """The metric of some of the examples that count."""
    if quantity == _MEANS.get(task.family):  # the same number, faster
        return lambda rows: float(np.mean(task.scores[rows]))
    if isinstance(task.objective, Pairs):  # queries are drawn, the gallery stays
        mean = quantity == task.worth_name
        own = {
            name: (summary_of(name), values)
            for name, values in task.objective.by_query(task.records).items()
            if name == quantity or (mean and name.startswith("recall_1_"))
        }
        return lambda rows: float(np.mean([one(values[rows]) for one, values in own.values()]))
    return lambda rows: _value(task, quantity, take(task.records, task.rows[rows]), Path())


def _over_seeds(a: Method, b: Method) -> Pair:
    gap = float(np.mean(a.values) - np.mean(b.values))
    nan = float("nan")
    sides = a.values, b.values
    p, other, effect = welch(*sides), permutation(*sides), cohen_d(*sides)
    return Pair(a.name, b.name, gap, nan, nan, p, other, effect)


def _over_examples(a: Method, b: Method, quantity: str) -> Pair:
    """The first run of each on the same examples."""
    left, right = a.tasks[0], b.tasks[0]
    drawn = left.drawing(left.rows).difference(
        _measured(left, quantity), _measured(right, quantity), len(left.rows)
    )
    p, other, effect = drawn.p, float("nan"), float("nan")
    if quantity == _MEANS.get(left.family) and len(left.scores) > 1:
        effect = paired_d(left.scores, right.scores)
    # Rows of one group are not independent, as McNemar's test wants them.
    if left.family == "classes" and quantity == "accuracy" and left.groups is None:
        p, other = mcnemar(left.scores > 0, right.scores > 0), drawn.p
    return Pair(a.name, b.name, drawn.value, drawn.low, drawn.high, p, other, effect)
