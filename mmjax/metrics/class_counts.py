"""Accuracy, F1 and Cohen's kappa of several classes, from sums of weights by class."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True)
class ClassCounts:
    """Summed weight of each class: where it is rightly predicted, is the label, is predicted."""

    correct: Float[np.ndarray, "class"]
    actual: Float[np.ndarray, "class"]
    predicted: Float[np.ndarray, "class"]

    @classmethod
    def of(
        cls,
        predicted: Int[np.ndarray, "example"],
        labels: Int[np.ndarray, "example"],
        weight: Float[np.ndarray, "example"],
        classes: int,
    ) -> "ClassCounts":
        """The sums of a split: checked classes in 0..classes - 1 and positive weights."""
        right = predicted == labels
        return cls(
            correct=class_sums(labels[right], weight[right], classes),
            actual=class_sums(labels, weight, classes),
            predicted=class_sums(predicted, weight, classes),
        )

    def accuracy(self) -> float:
        """Share of right predictions, 0..1."""
        return float(self.correct.sum() / self.actual.sum())

    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur as labels."""
        some = self.actual > 0
        return float(np.mean(self.correct[some] / self.actual[some]))

    def f1(self) -> Float[np.ndarray, "class"]:
        """2 correct / (actual + predicted); NaN for classes that are neither."""
        both = self.actual + self.predicted
        return np.divide(2 * self.correct, both, out=np.full(both.shape, np.nan), where=both > 0)

    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur as labels or as predictions."""
        return float(np.nanmean(self.f1()))

    def weighted_f1(self) -> float:
        """Mean F1, each class weighted by how often it is the label."""
        share = self.actual / self.actual.sum()
        return float(np.nansum(share * self.f1()))

    def cohen_kappa(self) -> float:
        """(accuracy - chance) / (1 - chance), Cohen 1960; NaN where chance is 1: one class only."""
        actual, predicted = self.actual / self.actual.sum(), self.predicted / self.predicted.sum()
        chance = float(np.sum(actual * predicted))
        return (self.accuracy() - chance) / (1 - chance) if chance < 1 else float("nan")


def class_sums(
    members: Int[np.ndarray, "example"], weight: Float[np.ndarray, "example"], classes: int
) -> Float[np.ndarray, "class"]:
    """The summed weight of each class of `members`; the order of examples changes no bit."""
    order = np.lexsort((weight, members))
    sums = np.bincount(members[order], weight[order], minlength=classes)
    return sums.astype(np.float64)  # of no example at all they are integers
