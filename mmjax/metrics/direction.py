"""Which way a metric is better."""

LOWER = frozenset(
    {
        *("loss", "log_loss", "perplexity", "calibration_error", "word_error_rate", "invalid"),
        *("mae", "rmse", "average_displacement", "final_displacement", "collisions"),
        *("false_positives", "false_negatives"),
    }
)


def lower_is_better(metric: str) -> bool:
    """Whether lower values of a metric, named without its objective, are better."""
    return metric in LOWER or metric.startswith("median_rank_")
