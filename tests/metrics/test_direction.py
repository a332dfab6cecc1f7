"""Every metric is known to be better when it is higher, or when it is lower."""

import numpy as np

from mmjax.metrics.binary import binary_metrics
from mmjax.metrics.classification import classification_metrics
from mmjax.metrics.direction import LOWER, lower_is_better
from mmjax.metrics.multi_label import multi_label_metrics
from mmjax.metrics.paths import displacements
from mmjax.metrics.regression import regression_metrics
from mmjax.metrics.sentiment import sentiment_metrics
from mmjax.metrics.text import text_metrics
from mmjax.objectives import InfoNce

HIGHER = {
    *("accuracy", "balanced_accuracy", "top5_accuracy", "precision", "recall", "f1", "macro_f1"),
    *("weighted_f1", "cohen_kappa", "auroc", "macro_auroc", "average_precision"),
    *("mean_average_precision", "true_positives", "true_negatives", "r2", "pearson", "spearman"),
    *("acc2_positive", "acc2_nonnegative", "f1_positive", "f1_nonnegative", "acc7", "correlation"),
    *("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "chrf", "cider_d", "exact_match"),
    *("token_accuracy", "iou", "concordance", "recall_1", "recall_5", "recall_10", "map", "ndcg"),
}


ELSEWHERE = ("loss", "invalid", "perplexity", "collisions")  # made by objectives themselves


def found():
    yield from ELSEWHERE
    random = np.random.RandomState(0)
    logits, one = random.randn(8, 6), np.ones(8)
    labels = np.arange(8) % 6
    yield from classification_metrics(logits, labels, one)
    yield from binary_metrics(logits[:, 0], labels % 2, one)
    yield from multi_label_metrics(logits, logits > 0.3, np.ones((8, 6)))
    yield from regression_metrics(logits[:, 0], logits[:, 1], one)
    yield from sentiment_metrics(logits[:, 0], logits[:, 1], one)
    yield from displacements(logits.reshape(8, 3, 2), np.zeros((8, 3, 2)), np.ones((8, 3)))
    yield from text_metrics(["a b"], [["a b c d"]])
    vectors = random.randn(8, 4).astype(np.float32)
    records = {
        "first": vectors,
        "second": vectors,
        "group": np.arange(16).reshape(8, 2),
        "weight": one,
    }
    names = InfoNce(modalities=("image", "text")).metrics(records, None)
    yield from (
        name.rpartition("_")[0] if not name.startswith("median") else name for name in names
    )


def test_of_every_metric_it_is_known_which_way_is_better():
    for name in found():
        known = name in HIGHER
        assert known != lower_is_better(name), name
    assert not HIGHER & LOWER
