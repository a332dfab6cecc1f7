"""All that an evaluation reports of binary logits."""

from jaxtyping import Shaped

from mmjax.metrics.calibration import CalibrationBins
from mmjax.metrics.counts import BinaryCounts
from mmjax.metrics.examples import counted
from mmjax.metrics.ranking import auroc, average_precision
from mmjax.types import AnyArray


def binary_metrics(
    logits: Shaped[AnyArray, "batch *label"],
    labels: Shaped[AnyArray, "..."],
    weight: Shaped[AnyArray, "..."],
) -> dict[str, float]:
    """Threshold, rank and calibration metrics of a whole split, then its confusion matrix.

    The same bits in whatever order or batches the examples came, and with any number of examples of
    weight 0 among them. Several labels per example, `[batch, label]`, are taken as so many
    examples: micro averages.

    Args:
        logits: log odds of label 1; predicted is 1 above 0.
        labels: 0 or 1, shaped like `logits`.
        weight: `[batch]`, at least 0.

    Returns:
        accuracy, precision, recall and f1 (0 where nothing was predicted or is positive), auroc and
        average_precision (NaN where only one class is present), calibration_error (15 bins), and
        the weighted counts.

    Raises:
        ValueError: as `counted`: wrong shapes, weights or labels, NaN logits, nothing to count.
    """
    logits, labels, weight = counted(logits, labels, weight)
    counts = BinaryCounts.of(logits, labels, weight).compute()
    rates = {name: counts.pop(name) for name in ("accuracy", "precision", "recall", "f1")}
    return {
        **rates,
        "auroc": auroc(logits, labels, weight),
        "average_precision": average_precision(logits, labels, weight),
        "calibration_error": CalibrationBins.of(logits, labels, weight).compute(),
        **counts,
    }
