"""All that an evaluation reports of logits of classes, one label per example."""

import math

import numpy as np
from jaxtyping import Float, Shaped

from mmjax.metrics.calibration import CalibrationBins
from mmjax.metrics.class_counts import ClassCounts, class_sums
from mmjax.metrics.examples import class_numbers, counted_classes, positive, shapes
from mmjax.metrics.ranking import auroc
from mmjax.types import AnyArray


def classification_metrics(
    logits: Shaped[AnyArray, "..."],
    labels: Shaped[AnyArray, "..."],
    weight: Shaped[AnyArray, "..."],
) -> dict[str, float]:
    """Metrics of a whole split, exact, in float64 on the host.

    The same bits in whatever order the examples came, and with any number of examples of weight 0
    among them. The predicted class is the first of those with the highest logit.

    Args:
        logits: `[example, class]`, log probabilities up to a constant; -inf excludes a class.
        labels: `[example]`, whole numbers in 0..class - 1.
        weight: `[example]`, at least 0.

    Returns:
        accuracy, balanced_accuracy, macro_f1, weighted_f1 and cohen_kappa: as `ClassCounts`.
        top5_accuracy: only where there are more than 5 classes; of equal logits, those of the lower
            classes come first, as in `jax.lax.top_k` (in scikit-learn those of the higher ones).
        log_loss: mean of -log p(label) in nats; infinite where a label's logit is -inf.
        auroc: mean over the classes that some labels are and some are not, each against all others,
            ranked by log p; NaN where there is no such class.
        calibration_error: of the predicted class's probability, 15 bins, Guo et al. 2017,
            arXiv:1706.04599.

    Raises:
        ValueError: shapes do not fit, a weight is negative or not finite, no weight is positive, a
            row of logits holds NaN or +inf or nothing but -inf, a label is not a class.
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
    bins = CalibrationBins.of_probabilities(
        np.exp(log_p[rows, predicted]), predicted == labels, weight
    )
    return metrics | {
        "macro_f1": counts.macro_f1(),
        "weighted_f1": counts.weighted_f1(),
        "log_loss": math.fsum(-weight * log_p[rows, labels]) / math.fsum(weight),
        "auroc": float(np.mean(ranks)) if ranks else float("nan"),
        "cohen_kappa": counts.cohen_kappa(),
        "calibration_error": bins.compute(),
    }


def confusion_matrix(
    predicted: Shaped[AnyArray, "..."],
    labels: Shaped[AnyArray, "..."],
    weight: Shaped[AnyArray, "..."],
    classes: int,
) -> Float[np.ndarray, "class class"]:
    """Summed weight by label (row) and predicted class (column); examples of weight 0 are ignored.

    Args:
        predicted, labels: `[example]`, whole numbers in 0..classes - 1. For logits
            `[example, class]`, pass `logits.argmax(axis=1)`.
        weight: `[example]`, at least 0.

    Raises:
        ValueError: shapes do not fit, a weight is negative or not finite, no weight is positive, a
            label or a prediction is not a class.
    """
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    weight = np.asarray(weight, np.float64)
    if predicted.ndim != 1 or not predicted.shape == labels.shape == weight.shape:
        raise ValueError(
            "expected predicted, labels and weight of one shape [example], got "
            + shapes(predicted=predicted, labels=labels, weight=weight)
        )
    rows = positive(weight)
    predicted = class_numbers("predictions", predicted, classes, rows)
    labels = class_numbers("labels", labels, classes, rows)
    place = labels * classes + predicted
    return class_sums(place, weight[rows], classes**2).reshape(classes, classes)


def _log_softmax(logits: Float[np.ndarray, "example class"]) -> Float[np.ndarray, "example class"]:
    """log p; by log1p, so that probabilities near 1 keep their order."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    others = np.exp(shifted)
    others[np.arange(len(logits)), logits.argmax(axis=1)] = 0.0
    return shifted - np.log1p(others.sum(axis=1, keepdims=True))
