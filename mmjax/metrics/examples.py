"""The examples that a metric counts: real ones, flat, checked, in an order of their own."""

import numpy as np
from jaxtyping import Float, Shaped

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
            f"expected logits and labels of one shape and one weight per example, got logits "
            f"{scores.shape}, labels {labels.shape}, weight {weight.shape}"
        )
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"expected weights of at least 0, got {weight[row]} in row {row}")
    rows = np.flatnonzero(weight)
    if rows.size == 0:
        raise ValueError(f"expected an example with positive weight, got none among {weight.size}")
    weight = np.broadcast_to(weight.reshape(-1, *[1] * (scores.ndim - 1)), scores.shape)
    scores, labels, weight = scores[rows], labels[rows], weight[rows]
    if unclear := int(np.isnan(scores).sum()):
        raise ValueError(f"{unclear} of {scores.size} logits are NaN")
    wrong = (labels != 0) & (labels != 1)
    if wrong.any():
        row, *column = (int(axis) for axis in np.argwhere(wrong)[0])
        where = f"row {rows[row]}" + "".join(f", label {place}" for place in column)
        raise ValueError(f"expected labels 0 or 1, got {labels[wrong][0]} in {where}")
    scores, labels, weight = scores.ravel(), labels.ravel(), weight.ravel()
    order = np.lexsort((weight, labels, scores))
    return scores[order], labels[order], weight[order]
