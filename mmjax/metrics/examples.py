"""The examples that a metric counts: the rows of positive weight, checked, in float64."""

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from mmjax.types import AnyArray


def counted(
    scores: Shaped[AnyArray, "batch *label"],
    labels: Shaped[AnyArray, "..."],
    weight: Shaped[AnyArray, "..."],
) -> tuple[
    Float[np.ndarray, "example"], Float[np.ndarray, "example"], Float[np.ndarray, "example"]
]:
    """Scores, labels and weights in float64, without the rows of weight 0, which may hold anything.

    Several labels per example, `[batch, label]`, are flattened: every label of every example counts
    alike, with its example's weight (a micro average). The result is sorted, so that a sum over it
    has the same bits for every order in which the examples came.

    Args:
        scores: any finite or infinite number, higher where label 1 is more likely.
        labels: 0 or 1, shaped like `scores`.
        weight: `[batch]`, finite and at least 0.

    Raises:
        ValueError: shapes do not fit, a weight is negative or not finite, no weight is positive, a
            score is NaN, a label is not 0 or 1.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    weight = np.asarray(weight, np.float64)
    if scores.shape != labels.shape or weight.shape != scores.shape[:1]:
        raise ValueError(
            "expected logits and labels of one shape and one weight per example, got "
            + shapes(logits=scores, labels=labels, weight=weight)
        )
    rows = positive(weight)
    weight = np.broadcast_to(weight.reshape(-1, *[1] * (scores.ndim - 1)), scores.shape)
    scores, labels, weight = scores[rows], labels[rows], weight[rows]
    if unclear := int(np.isnan(scores).sum()):
        raise ValueError(f"{unclear} of {scores.size} logits are NaN")
    _require((labels == 0) | (labels == 1), "labels 0 or 1", labels, rows)
    scores, labels, weight = scores.ravel(), labels.ravel(), weight.ravel()
    order = np.lexsort((weight, labels, scores))
    return scores[order], labels[order], weight[order]


def counted_classes(
    logits: Shaped[AnyArray, "..."],
    labels: Shaped[AnyArray, "..."],
    weight: Shaped[AnyArray, "..."],
) -> tuple[
    Float[np.ndarray, "example class"], Int[np.ndarray, "example"], Float[np.ndarray, "example"]
]:
    """Logits, classes and weights without the rows of weight 0, in the order in which they came.

    Raises:
        ValueError: shapes are not `[example, class]`, `[example]` and `[example]`, a weight is
            negative or not finite, no weight is positive, a row of logits holds NaN or +inf or
            nothing but -inf, a label is not a whole number in 0..class - 1.
    """
    logits = np.asarray(logits, np.float64)
    labels, weight = np.asarray(labels), np.asarray(weight, np.float64)
    fits = labels.shape == weight.shape == logits.shape[:1]
    if logits.ndim != 2 or logits.shape[1] == 0 or not fits:
        raise ValueError(
            "expected logits [example, class], labels [example] and weight [example], got "
            + shapes(logits=logits, labels=labels, weight=weight)
        )
    rows = positive(weight)
    logits = logits[rows]  # in C order, so that a sum over classes does not depend on the layout
    highest = logits.max(axis=1)
    _require(np.isfinite(highest), "logits with a finite maximum", highest, rows)
    return logits, class_numbers("labels", labels, logits.shape[1], rows), weight[rows]


def counted_numbers(
    predicted: Shaped[AnyArray, "..."],
    target: Shaped[AnyArray, "..."],
    weight: Shaped[AnyArray, "..."],
) -> tuple[
    Float[np.ndarray, "example"], Float[np.ndarray, "example"], Float[np.ndarray, "example"]
]:
    """Predictions, targets and weights in float64, without the rows of weight 0; sorted.

    The rows of weight 0 may hold anything. A sum over the result has the same bits for every order
    in which the examples came.

    Raises:
        ValueError: shapes differ or are not `[example]`, a weight is negative or not finite, no
            weight is positive, a prediction or a target is not finite.
    """
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    weight = np.asarray(weight, np.float64)
    if predicted.ndim != 1 or not predicted.shape == target.shape == weight.shape:
        raise ValueError(
            "expected predicted, target and weight of one shape [example], got "
            + shapes(predicted=predicted, target=target, weight=weight)
        )
    rows = positive(weight)
    predicted, target, weight = predicted[rows], target[rows], weight[rows]
    _require(np.isfinite(predicted), "finite predictions", predicted, rows)
    _require(np.isfinite(target), "finite targets", target, rows)
    order = np.lexsort((weight, target, predicted))
    return predicted[order], target[order], weight[order]


def positive(weight: Float[np.ndarray, "example"]) -> Int[np.ndarray, "row"]:
    """The indices of the examples of positive weight.

    Raises:
        ValueError: a weight is negative or not finite; no weight is positive.
    """
    every = np.arange(weight.size)
    _require(np.isfinite(weight) & (weight >= 0), "weights of at least 0", weight, every)
    rows = np.flatnonzero(weight)
    if rows.size == 0:
        raise ValueError(f"expected an example with positive weight, got none among {weight.size}")
    return rows


def class_numbers(
    name: str, values: Shaped[np.ndarray, "example"], classes: int, rows: Int[np.ndarray, "row"]
) -> Int[np.ndarray, "row"]:
    """The classes in `rows` of `values`; a ValueError where one is not in 0..classes - 1."""
    values = values[rows]
    right = (values >= 0) & (values < classes) & (values == np.floor(values))
    _require(right, f"{name} in 0..{classes - 1}", values, rows)
    return values.astype(np.int64)


def shapes(**arrays: np.ndarray) -> str:
    """Names and shapes for an error, such as `labels (3,), weight (2,)`."""
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
