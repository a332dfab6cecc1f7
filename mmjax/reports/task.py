"""One objective of a run on one split: what is true, what was said, and how good that is."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.special
from jaxtyping import Bool, Float, Int

from mmjax.data.targets import Category, MultiLabel
from mmjax.evaluation.examined import take
from mmjax.metrics.retrieval import summary_of
from mmjax.objectives import BinaryCrossEntropy, Objective, SoftmaxCrossEntropy
from mmjax.objectives.pairs import Pairs
from mmjax.objectives.regression import Regression
from mmjax.objectives.text import TextObjective
from mmjax.statistics.bootstrap import Bootstrap, Interval
from mmjax.statistics.means import wilson
from mmjax.statistics.scaling import two_classes

Family = Literal["classes", "labels", "numbers", "texts", "pairs", "other"]


@dataclasses.dataclass(frozen=True)
class Task:
    """An objective, the kind of its target, and what it recorded of a split."""

    name: str
    objective: Objective
    kind: Any  # the target's, or None
    records: Mapping[str, np.ndarray]
    resamples: int = 1000
    groups: Sequence | None = None  # of every example of the split: drawn together

    @property
    def family(self) -> Family:
        """What the objective is about; yes or no are two classes.

        Of "other" ones, such as survival, nothing is known but their metrics.
        """
        match self.objective:
            case SoftmaxCrossEntropy():
                return "classes"
            case BinaryCrossEntropy():
                return "labels" if self.records["output"].ndim > 1 else "classes"
            case Regression():
                return "numbers"
            case TextObjective():
                return "texts"
            case Pairs():
                return "pairs"
        return "other"

    @cached_property
    def rows(self) -> Int[np.ndarray, "row"]:
        """The examples that count: their target is there."""
        if self.family == "texts":
            return np.flatnonzero(self.records["counted"].any(axis=1))
        if "weight" not in self.records:
            return np.arange(len(next(iter(self.records.values()), [])))
        weight = self.records["weight"]
        return np.flatnonzero(weight.reshape(len(weight), -1).max(axis=1) > 0)

    @cached_property
    def logits(self) -> Float[np.ndarray, "row class"]:
        """The logits of the examples that count; two of a yes-or-no answer."""
        output = np.asarray(self.records["output"][self.rows], np.float64)
        return two_classes(output) if output.ndim == 1 else output

    @property
    def probabilities(self) -> Float[np.ndarray, "row class"]:
        """The probabilities of the examples that count."""
        return scipy.special.softmax(self.logits, axis=1)

    @property
    def labels(self) -> Int[np.ndarray, "row"]:
        """The true classes of the examples that count."""
        return self.records["target"][self.rows].astype(np.int64)

    @property
    def names(self) -> list[str]:
        """The names of the classes, or of several labels."""
        if isinstance(self.kind, (Category, MultiLabel)):
            return list(self.kind.names)
        count = self.records["output"].shape[1] if self.records["output"].ndim > 1 else 2
        return ["no", "yes"] if self.records["output"].ndim == 1 else list(map(str, range(count)))

    @cached_property
    def numbers(self) -> tuple[Float[np.ndarray, "row"], Float[np.ndarray, "row"]]:
        """Predicted and true numbers of the examples that count, in the target's unit."""
        mean, std = (self.kind.mean, self.kind.std) if self.kind is not None else (0.0, 1.0)
        both = (self.records[name][self.rows].astype(np.float64) for name in ("output", "target"))
        predicted, true = (mean + std * values for values in both)
        return predicted, true

    @cached_property
    def texts(self) -> tuple[list[str], list[str]]:
        """Written and true texts of the examples that count."""
        rows, decoded = self.rows, self.kind.decoded
        written = [decoded(words) for words in self.records["written"][rows]]
        pairs = zip(self.records["target"][rows], self.records["counted"][rows], strict=True)
        return written, [decoded(words[counted]) for words, counted in pairs]

    @property
    def scored(self) -> bool:
        """Whether examples have `scores`."""
        return self.family not in ("pairs", "other")

    @property
    def score_name(self) -> str:
        """What `scores` are."""
        names = {"classes": "accuracy", "labels": "accuracy", "numbers": "absolute error"}
        return names.get(self.family, "exact match")

    @cached_property
    def scores(self) -> Float[np.ndarray, "row"]:
        """A number for each example that counts, whose mean is a metric."""
        match self.family:
            case "classes":
                return (self.logits.argmax(axis=1) == self.labels).astype(np.float64)
            case "labels":
                output, target = (self.records[name][self.rows] for name in ("output", "target"))
                return ((output > 0) == (target > 0.5)).mean(axis=1)
            case "numbers":
                return np.abs(self.numbers[0] - self.numbers[1])
        return np.array([a == b for a, b in zip(*self.texts, strict=True)], np.float64)

    @property
    def worth_name(self) -> str:
        """The metric that `worth` gives: higher is better."""
        if self.family == "other":
            return next(iter(self.metrics(self.records)), "nothing")
        names = {"numbers": "r2", "texts": "bleu_1", "pairs": "mean recall_1"}
        return names.get(self.family, "accuracy")

    def metrics(self, records: Mapping[str, np.ndarray]) -> dict[str, float]:
        """All metrics of some records; none where no example counts."""
        return self.objective.metrics(records, self.kind)

    def worth(self, records: Mapping[str, np.ndarray]) -> float:
        """The metric `worth_name` of some records; NaN where it is not defined."""
        found = self.metrics(records)
        if self.family == "pairs":  # of both directions
            both = [value for name, value in found.items() if name.startswith("recall_1_")]
            return float(np.mean(both)) if both else float("nan")
        return found.get(self.worth_name, float("nan"))

    def drawing(self, rows: Int[np.ndarray, "row"]) -> Bootstrap:
        """How these examples of the split are drawn: classes keep their sizes, groups stay whole.

        Not both: a group, such as a person, may have several classes.
        """
        # Metrics of texts take long.
        count = max(1, self.resamples // 10) if self.family == "texts" else self.resamples
        if self.groups is not None:
            return Bootstrap(groups=[self.groups[row] for row in rows], resamples=count)
        strata = self.records["target"][rows] if self.family == "classes" else None
        return Bootstrap(strata=strata, resamples=count)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Every metric with its bootstrap interval."""
        whole = self.metrics(self.records)
        if not whole:
            return {}

        def measured(rows: np.ndarray) -> list[float]:
            found = self.metrics(take(self.records, self.rows[rows]))
            return [found.get(name, float("nan")) for name in whole]

        if isinstance(self.objective, Pairs):  # queries are drawn, the gallery stays
            return {
                name: self.drawing(self.rows).interval(
                    lambda rows, name=name, own=own: summary_of(name)(own[rows]), len(own)
                )
                for name, own in self.objective.by_query(self.records).items()
            }
        drawn = self.drawing(self.rows).intervals(measured, len(self.rows))
        found = dict(zip(whole, drawn, strict=True))
        if self.family == "classes" and found["accuracy"].value in (0, 1) and self.groups is None:
            found["accuracy"] = wilson(self.scores)  # all are alike: so are all resamples
        return found

    def mean(self, chosen: Bool[np.ndarray, "row"], resamples: int = 500) -> Interval:
        """The mean score of some of the examples that count; Wilson's interval of a share."""
        scores = self.scores[chosen]
        if self.groups is None and np.isin(scores, (0, 1)).all():
            return wilson(scores)
        mean: Callable[[np.ndarray], float] = lambda rows: float(np.mean(scores[rows]))  # noqa: E731
        groups = self.groups and [self.groups[row] for row in self.rows[chosen]]
        return Bootstrap(groups=groups, resamples=resamples).interval(mean, len(scores))

    def said(self, place: int) -> tuple[str, str]:
        """What was predicted for the example at a place of `rows`, and what is true."""
        match self.family:
            case "classes":
                row = self.probabilities[place]
                top = int(row.argmax())
                said = f"{self.names[top]} (p = {row[top]:.3f})"
                return said, self.names[self.labels[place]]
            case "numbers":
                unit = f" {self.kind.unit}" if getattr(self.kind, "unit", "") else ""
                predicted, true = (values[place] for values in self.numbers)
                return f"{predicted:.4g}{unit}", f"{true:.4g}{unit}"
            case "labels":
                row = self.rows[place]
                said, true = self.records["output"][row] > 0, self.records["target"][row] > 0.5
                return self._listed(said), self._listed(true)
        written, true = self.texts
        return written[place], true[place]

    def _listed(self, on: Bool[np.ndarray, "label"]) -> str:
        return ", ".join(n for n, one in zip(self.names, on, strict=True) if one) or "none"
