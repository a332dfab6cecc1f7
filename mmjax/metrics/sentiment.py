"""Sentiment scores in -3..3 as papers on CMU-MOSI and CMU-MOSEI report them.

CMU-MOSEI: Zadeh et al. 2018 (ACL), https://aclanthology.org/P18-1208. Scores: MulT, Tsai et al.
2019, arXiv:1906.00295. Papers define the two classes in two ways; do not compare their
numbers with each other.
"""

import numpy as np
from jaxtyping import Bool

from mmjax.metrics.classification import ClassCounts
from mmjax.metrics.examples import Numbers, Values, counted_numbers
from mmjax.metrics.regression import regression_metrics


def sentiment_metrics(predicted: Values, target: Values, weight: Values) -> dict[str, float]:
    """Metrics of a whole split, exact, in float64 on the host.

    Pass targets as annotated: a target counts as 0 only where it is exactly 0. The order of the
    examples, and examples of weight 0, change no bit of the result.

    Args:
        predicted, target: `[example]`, finite, -3 (most negative) to 3 (most positive); clipped to
            this range in `acc7` only
        weight: `[example]`, at least 0, as in `regression_metrics`

    Returns:
        acc2_nonnegative, f1_nonnegative: negative against non-negative (>= 0), all examples.
        acc2_positive, f1_positive: not positive against positive (> 0), examples with target 0
            left out, as in MulT; NaN where no example is left.
        acc7: equal whole numbers after clipping to -3..3 and rounding; halves go to the even
            neighbour (`np.round`).
        mae, correlation: `mae` and `pearson` of `regression_metrics`.

        Each F1 is the mean of the F1 of both classes, weighted by how often each is the target.
        (MulT's published script weights by how often each is predicted.)

    Raises:
        ValueError: as `regression_metrics`.
    """
    predicted, target, weight = counted_numbers(predicted, target, weight)
    polar = target != 0
    nonnegative = _two_classes(predicted >= 0, target >= 0, weight)
    positive = _two_classes(predicted[polar] > 0, target[polar] > 0, weight[polar])
    seven = [np.round(np.clip(values, -3, 3)) for values in (predicted, target)]
    numbers = regression_metrics(predicted, target, weight)
    return {
        "acc2_nonnegative": nonnegative[0],
        "f1_nonnegative": nonnegative[1],
        "acc2_positive": positive[0],
        "f1_positive": positive[1],
        "acc7": float(np.sum(weight * (seven[0] == seven[1])) / np.sum(weight)),
        "mae": numbers["mae"],
        "correlation": numbers["pearson"],
    }


def _two_classes(
    predicted: Bool[np.ndarray, "example"],
    labels: Bool[np.ndarray, "example"],
    weight: Numbers,
) -> tuple[float, float]:
    """Accuracy and weighted F1; NaN without examples."""
    if not weight.size:
        return float("nan"), float("nan")
    counts = ClassCounts.of(predicted.astype(int), labels.astype(int), weight, 2)
    return counts.accuracy(), counts.weighted_f1()
