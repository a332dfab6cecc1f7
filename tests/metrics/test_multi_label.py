import numpy as np
import pytest
import sklearn.metrics

from mmjax.metrics.multi_label import multi_label_metrics


def _split():
    random = np.random.RandomState(0)
    logits = random.randn(40, 3).round(1)  # with ties
    labels = (random.random_sample((40, 3)) < 0.4).astype(float)
    weight = np.repeat(random.randint(0, 3, (40, 1)).astype(float), 3, axis=1)
    return logits, labels, weight


def test_macro_averages_are_those_of_scikit_learn():
    logits, labels, weight = _split()
    found = multi_label_metrics(logits, labels, weight)
    known = {"sample_weight": weight[:, 0], "average": "macro"}
    expected = {
        "macro_f1": sklearn.metrics.f1_score(labels, logits > 0, **known),
        "macro_auroc": sklearn.metrics.roc_auc_score(labels, logits, **known),
        "mean_average_precision": sklearn.metrics.average_precision_score(labels, logits, **known),
        "auroc": sklearn.metrics.roc_auc_score(
            labels.ravel(), logits.ravel(), sample_weight=weight.ravel()
        ),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12)


def test_a_label_that_nobody_has_or_whose_cells_do_not_count_is_left_out_of_rank_means():
    logits, labels, weight = _split()
    whole = multi_label_metrics(logits[:, :2], labels[:, :2], weight[:, :2])
    labels[:, 2] = 0
    assert multi_label_metrics(logits, labels, weight)["macro_auroc"] == whole["macro_auroc"]
    weight[:, 2], logits[:, 2] = 0, np.nan
    assert multi_label_metrics(logits, labels, weight) == whole
    with pytest.raises(ValueError, match=r"\(40, 3\), \(40, 2\) and \(40, 3\)"):
        multi_label_metrics(logits, labels[:, :2], weight)
