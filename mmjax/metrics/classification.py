"""Metrics of class logits, one label per example."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int

from mmjax.metrics.calibration import calibration_error
from mmjax.metrics.examples import Numbers, Values, counted, counted_classes
from mmjax.metrics.ranking import auroc


def classification_metrics(logits: Values, labels: Values, weight: Values) -> dict[str, float]:
    """Metrics of a whole split, exact, in float64 on the host.

    The order of the examples, and examples of weight 0, change no bit of the result. The predicted
    class is the first of those with the highest logit.

    Args:
        logits: `[example, class]`, log probabilities up to a constant; -inf excludes a class
        labels: `[example]`, whole numbers in 0..class - 1
        weight: `[example]`, at least 0

    Returns:
        accuracy, balanced_accuracy, macro_f1, weighted_f1 and cohen_kappa: as `ClassCounts`.
        top5_accuracy: only for more than 5 classes; of equal logits, those of the lower classes
            come first, as in `jax.lax.top_k` (in scikit-learn those of the higher ones).
        log_loss: mean of -log p(label) in nats; infinite where a label's logit is -inf.
        auroc: mean over the classes that some labels are and some are not, each against all others,
            ranked by log p; NaN where there is no such class.
        calibration_error: of the predicted class's probability, 15 bins.

    Raises:
        ValueError: as in `counted_classes`.
    """
    logits, labels, weight = counted_classes(logits, labels, weight)
    classes = logits.shape[1]
    log_p, rows = _log_softmax(logits), np.arange(labels.size)
    predicted = logits.argmax(axis=1)
    counts = ClassCounts.of(predicted, labels, weight, classes)
    metrics = {"accuracy": counts.accuracy(), "balanced_accuracy": counts.balanced_accuracy()}
    if classes > 5:
        of_label = logits[rows, labels][:, None]
        lower = np.arange(classes) < labels[:, None]
        ahead = np.sum((logits > of_label) | ((logits == of_label) & lower), axis=1)
        metrics["top5_accuracy"] = math.fsum(weight[ahead < 5]) / math.fsum(weight)
    present = np.flatnonzero((counts.actual > 0) & (np.sum(counts.actual > 0) > 1))
    ranks = [auroc(log_p[:, c], labels == c, weight) for c in present]
    confidence = np.exp(log_p[rows, predicted])
    return metrics | {
        "macro_f1": counts.macro_f1(),
        "weighted_f1": counts.weighted_f1(),
        "log_loss": math.fsum(-weight * log_p[rows, labels]) / math.fsum(weight),
        "auroc": float(np.mean(ranks)) if ranks else float("nan"),
        "cohen_kappa": counts.cohen_kappa(),
        "calibration_error": calibration_error(*counted(confidence, predicted == labels, weight)),
    }


def confusion_matrix(
    logits: Values, labels: Values, weight: Values
) -> Float[np.ndarray, "class class"]:
    """Summed weight by label (row) and predicted class (column).

    Arguments, the predicted class and errors are those of `classification_metrics`.
    """
    logits, labels, weight = counted_classes(logits, labels, weight)
    classes = logits.shape[1]
    place = labels * classes + logits.argmax(axis=1)
    return _class_sums(place, weight, classes**2).reshape(classes, classes)


def _log_softmax(logits: Float[np.ndarray, "example class"]) -> Float[np.ndarray, "example class"]:
    """log p; by log1p, so that probabilities near 1 keep their order."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    others = np.exp(shifted)
    others[np.arange(len(logits)), logits.argmax(axis=1)] = 0.0
    return shifted - np.log1p(others.sum(axis=1, keepdims=True))


@dataclasses.dataclass(frozen=True)
class ClassCounts:
    """Summed weight of each class: correctly predicted, as the label, as the prediction."""

    correct: Float[np.ndarray, "class"]
    actual: Float[np.ndarray, "class"]
    predicted: Float[np.ndarray, "class"]

    @classmethod
    def of(
        cls,
        predicted: Int[np.ndarray, "example"],
        labels: Int[np.ndarray, "example"],
        weight: Numbers,
        classes: int,
    ) -> "ClassCounts":
        """Count a split of classes in 0..classes - 1 and positive weights."""
        right = predicted == labels
        return cls(
            correct=_class_sums(labels[right], weight[right], classes),
            actual=_class_sums(labels, weight, classes),
            predicted=_class_sums(predicted, weight, classes),
        )

    def accuracy(self) -> float:
        """Share of correct predictions, 0..1."""
        return float(self.correct.sum() / self.actual.sum())

    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur as labels."""
        some = self.actual > 0
        return float(np.mean(self.correct[some] / self.actual[some]))

    def f1(self) -> Float[np.ndarray, "class"]:
        """2 correct / (actual + predicted); NaN for classes that occur as neither."""
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
        """(accuracy - chance) / (1 - chance), Cohen 1960; NaN for a single class."""
        actual, predicted = self.actual / self.actual.sum(), self.predicted / self.predicted.sum()
        chance = float(np.sum(actual * predicted))
        return (self.accuracy() - chance) / (1 - chance) if chance < 1 else float("nan")


def _class_sums(
    members: Int[np.ndarray, "example"], weight: Numbers, classes: int
) -> Float[np.ndarray, "class"]:
    """The summed weight of each class, with the same bits for every order of the examples."""
    order = np.lexsort((weight, members))
    sums = np.bincount(members[order], weight[order], minlength=classes)
    return sums.astype(np.float64)  # bincount of no example gives integers
