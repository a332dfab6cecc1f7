"""What several trainings of one program came to: their metrics, means and confidence intervals."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from mmjax.config import Experiment

LEVEL = 0.95  # of the confidence intervals


class Training(NamedTuple):
    """One of them: its folder's name, the numbers that are its own, and the whole of it."""

    name: str
    values: Mapping[str, float]
    experiment: Experiment

    @property
    def seed(self) -> int:
        return self.experiment.seed


class Point(NamedTuple):
    """Trainings that differ in nothing but their seeds: their numbers, and the metrics of each."""

    values: Mapping[str, float]
    metrics: Sequence[Mapping[str, float]]

    def summary(self) -> dict[str, dict[str, float]]:
        """By metric the mean over seeds; where there are several, the rest of `spread`."""
        return {name: spread([row[name] for row in self.metrics]) for name in self.metrics[0]}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation and Student's confidence interval of the mean; of one its value."""
    mean = float(np.mean(np.array(values, np.float64)))
    if len(values) < 2:
        return {"mean": mean}
    deviation = float(np.std(np.array(values, np.float64), ddof=1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * deviation / len(values) ** 0.5
    return {"mean": mean, "std": deviation, "low": mean - half, "high": mean + half}


def points(trainings: Sequence[Training], metrics: Sequence[Mapping[str, float]]) -> list[Point]:
    """The trainings by their numbers, in the order in which these come first."""
    found: dict[tuple, Point] = {}
    for training, row in zip(trainings, metrics, strict=True):
        key = tuple(training.values.items())
        point = found.setdefault(key, Point(training.values, []))
        found[key] = point._replace(metrics=[*point.metrics, row])
    return list(found.values())


def as_json(
    trainings: Sequence[Training], metrics: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Everything, for a file."""
    rows = [
        {"run": t.name, "seed": t.seed, "values": dict(t.values), "metrics": dict(row)}
        for t, row in zip(trainings, metrics, strict=True)
    ]
    found = [
        {"values": dict(point.values), "seeds": len(point.metrics), "summary": point.summary()}
        for point in points(trainings, metrics)
    ]
    return {"split": "test", "level": LEVEL, "runs": rows, "points": found}
