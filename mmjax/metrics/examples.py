"""The examples that a metric counts: rows of positive weight, checked, in float64.

All functions raise a ValueError where shapes do not fit, a weight is negative or not finite, or no
weight is positive. Rows of weight 0 are dropped and may hold anything.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from mmjax.types import AnyArray

Labels = Shaped[AnyArray, "batch *label"]  # or the scores of these labels
Weight = Shaped[AnyArray, "batch"]
Values = Shaped[AnyArray, "..."]  # of any shape; checked here
Numbers = Float[np.ndarray, "example"]


def counted(scores: Labels, labels: Values, weight: Values) -> tuple[Numbers, Numbers, Numbers]:
    """Scores, labels and weights of binary examples, sorted.

    Several labels per example, `[batch, label]`, are flattened; each has its example's weight (a
    micro average). A sum over the result has the same bits for every order of the examples.

    Args:
        scores: any number, higher where label 1 is more likely; infinite is allowed
        labels: 0 or 1, shaped like `scores`
        weight: `[batch]`, finite and at least 0

    Raises:
        ValueError: a score is NaN, a label is not 0 or 1.
    """
    scores, labels, weight = (np.asarray(x, np.float64) for x in (scores, labels, weight))
    if scores.shape != labels.shape or weight.shape != scores.shape[:1]:
        raise ValueError(
            "expected logits and labels of one shape and one weight per example, got "
            + _shapes(logits=scores, labels=labels, weight=weight)
        )
    rows = _positive(weight)
    weight = np.broadcast_to(weight.reshape(-1, *[1] * (scores.ndim - 1)), scores.shape)
    scores, labels, weight = scores[rows], labels[rows], weight[rows]
    if unclear := int(np.isnan(scores).sum()):
        raise ValueError(f"{unclear} of {scores.size} logits are NaN")
    _require((labels == 0) | (labels == 1), "labels 0 or 1", labels, rows)
    scores, labels, weight = scores.ravel(), labels.ravel(), weight.ravel()
    order = np.lexsort((weight, labels, scores))
    return scores[order], labels[order], weight[order]


def counted_classes(
    logits: Values, labels: Values, weight: Values
) -> tuple[Float[np.ndarray, "example class"], Int[np.ndarray, "example"], Numbers]:
    """Logits `[example, class]`, classes `[example]` and weights `[example]`, in their order.

    Raises:
        ValueError: a row of logits holds NaN or +inf or nothing but -inf, a label is not a whole
            number in 0..class - 1.
    """
    logits = np.asarray(logits, np.float64)
    labels, weight = np.asarray(labels), np.asarray(weight, np.float64)
    fits = labels.shape == weight.shape == logits.shape[:1]
    if logits.ndim != 2 or logits.shape[1] == 0 or not fits:
        raise ValueError(
            "expected logits [example, class], labels [example] and weight [example], got "
            + _shapes(logits=logits, labels=labels, weight=weight)
        )
    rows, classes = _positive(weight), logits.shape[1]
    logits = logits[rows]  # in C order, so that a sum over classes does not depend on the layout
    highest = logits.max(axis=1)
    _require(np.isfinite(highest), "logits with a finite maximum", highest, rows)
    labels = labels[rows]
    right = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    _require(right, f"labels in 0..{classes - 1}", labels, rows)
    return logits, labels.astype(np.int64), weight[rows]


def counted_numbers(
    predicted: Values, target: Values, weight: Values
) -> tuple[Numbers, Numbers, Numbers]:
    """Predictions, targets and weights, each `[example]`, sorted as in `counted`.

    Raises:
        ValueError: a prediction or a target is not finite.
    """
    predicted, target, weight = (np.asarray(x, np.float64) for x in (predicted, target, weight))
    if predicted.ndim != 1 or not predicted.shape == target.shape == weight.shape:
        raise ValueError(
            "expected predicted, target and weight of one shape [example], got "
            + _shapes(predicted=predicted, target=target, weight=weight)
        )
    rows = _positive(weight)
    predicted, target, weight = predicted[rows], target[rows], weight[rows]
    _require(np.isfinite(predicted), "finite predictions", predicted, rows)
    _require(np.isfinite(target), "finite targets", target, rows)
    order = np.lexsort((weight, target, predicted))
    return predicted[order], target[order], weight[order]


def _positive(weight: Numbers) -> Int[np.ndarray, "row"]:
    every = np.arange(weight.size)
    _require(np.isfinite(weight) & (weight >= 0), "weights of at least 0", weight, every)
    rows = np.flatnonzero(weight)
    if rows.size == 0:
        raise ValueError(f"expected an example with positive weight, got none among {weight.size}")
    return rows


def _shapes(**arrays: np.ndarray) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items())


def _require(
    right: Bool[np.ndarray, "row *label"],
    expected: str,
    values: Shaped[np.ndarray, "row *label"],
    rows: Int[np.ndarray, "row"],
) -> None:
    """Raise a ValueError that names the first row, and the label in it, that is not right."""
    if right.all():
        return
    place = tuple(np.argwhere(~right)[0])
    where = f"row {rows[place[0]]}" + "".join(f", label {column}" for column in place[1:])
    raise ValueError(f"expected {expected}, got {values[place]} in {where}")
