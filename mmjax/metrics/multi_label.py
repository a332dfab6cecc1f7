"""Metrics of any number of labels per example."""

import numpy as np
from jaxtyping import Shaped

from mmjax.metrics.binary import binary_metrics
from mmjax.metrics.examples import Values
from mmjax.types import AnyArray


def multi_label_metrics(
    logits: Shaped[AnyArray, "batch label"], labels: Values, weight: Values
) -> dict[str, float]:
    """Metrics of all labels together (micro averages), and their means over labels (macro).

    Args:
        logits: log odds of each label, which is predicted above 0
        labels: 0 or 1, shaped like `logits`
        weight: of each label, shaped like `logits`, at least 0

    Returns:
        Those of `binary_metrics` over all examples and labels, then macro_f1, macro_auroc and
        mean_average_precision. The last two are means over the labels that some examples have and
        some have not; NaN where there is no such label.

    Raises:
        ValueError: different shapes, or as in `binary_metrics`.
    """
    logits, labels, weight = (np.asarray(x, np.float64) for x in (logits, labels, weight))
    if not logits.shape == labels.shape == weight.shape:
        raise ValueError(
            "expected logits, labels and weights of one shape, got "
            f"{logits.shape}, {labels.shape} and {weight.shape}"
        )
    columns = zip(logits.T, labels.T, weight.T, strict=True)
    each = [binary_metrics(*column) for column in columns if np.any(column[2] > 0)]

    def mean(name: str) -> float:
        known = [one[name] for one in each if not np.isnan(one[name])]
        return float(np.mean(known)) if known else float("nan")

    return {
        **binary_metrics(logits.ravel(), labels.ravel(), weight.ravel()),
        "macro_f1": mean("f1"),
        "macro_auroc": mean("auroc"),
        "mean_average_precision": mean("average_precision"),
    }
