import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings

from mmjax.metrics.ranking import auroc, average_precision
from tests.metrics.splits import splits

_ORACLES = [
    (auroc, sklearn.metrics.roc_auc_score),
    (average_precision, sklearn.metrics.average_precision_score),
]


@pytest.mark.parametrize(("metric", "oracle"), _ORACLES)
def test_ranks_with_ties_and_weights_are_those_of_scikit_learn(metric, oracle):
    @settings(deadline=None, max_examples=40)
    @given(splits(min_size=2))
    def agree(split):
        logits, labels, weight = split
        expected = oracle(labels, logits, sample_weight=weight)
        np.testing.assert_allclose(metric(logits, labels, weight), expected, rtol=0, atol=1e-12)

    agree()


@pytest.mark.parametrize(("metric", "oracle"), _ORACLES)
def test_large_splits_are_exact_not_binned(metric, oracle):
    random = np.random.default_rng(0)
    # Almost everything lies within one bin of any histogram over the range.
    logits = np.where(random.uniform(size=5000) < 0.01, 1e4, random.normal(size=5000) * 1e-3)
    labels = (logits + random.normal(size=5000) * 1e-3 > 0).astype(int)
    weight = random.uniform(0.1, 2.0, 5000)
    expected = oracle(labels, logits, sample_weight=weight)
    np.testing.assert_allclose(metric(logits, labels, weight), expected, rtol=0, atol=1e-12)


def test_auroc_is_the_share_of_pairs_in_the_right_order_with_ties_as_half():
    scores, labels = np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 0, 1, 1])
    assert auroc(scores, labels, np.ones(4)) == (1 + 0.5 + 1 + 1) / 4


@pytest.mark.parametrize("metric", [auroc, average_precision])
def test_a_perfect_ranking_is_not_rounded_above_one(metric):
    for seed in range(20):
        random = np.random.default_rng(seed)
        labels = np.append([0, 1], random.integers(0, 2, 50))
        got = metric(labels + 0.1 * random.uniform(size=52), labels, random.uniform(0.1, 1, 52))
        assert 1 - 1e-12 < got <= 1


def test_scores_that_differ_in_the_last_bit_are_no_tie():
    scores = np.array([1.0, np.nextafter(1.0, 2.0)])
    assert auroc(scores, np.array([0, 1]), np.ones(2)) == 1.0
    assert auroc(scores, np.array([1, 0]), np.ones(2)) == 0.0


def test_the_infinities_are_scores_like_others():
    scores, labels = np.array([-np.inf, np.inf, np.inf, 0.0]), np.array([0, 1, 1, 0])
    assert auroc(scores, labels, np.ones(4)) == 1.0
    assert average_precision(scores, labels, np.ones(4)) == 1.0


def test_one_constant_score_has_the_metrics_of_chance():
    labels, weight = np.array([0, 0, 1, 0]), np.array([1.0, 1.0, 2.0, 1.0])
    assert auroc(np.zeros(4), labels, weight) == 0.5
    assert average_precision(np.zeros(4), labels, weight) == 2 / 5


@pytest.mark.parametrize("metric", [auroc, average_precision])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("size", [1, 3])
def test_one_class_alone_has_no_rank(metric, label, size):
    scores, labels = np.arange(size) * 1.0, np.full(size, label)
    assert np.isnan(metric(scores, labels, np.ones(size)))
    # A class that only fillers have is not present.
    scores, labels = np.append(scores, 5.0), np.append(labels, 1 - label)
    assert np.isnan(metric(scores, labels, np.append(np.ones(size), 0.0)))


@pytest.mark.parametrize(("metric", "oracle"), _ORACLES)
def test_several_labels_are_ranked_together(metric, oracle):
    random = np.random.default_rng(2)
    scores, labels = random.normal(size=(20, 3)).round(1), random.integers(0, 2, (20, 3))
    weight = random.uniform(0.5, 2.0, 20)
    expected = oracle(labels.ravel(), scores.ravel(), sample_weight=np.repeat(weight, 3))
    np.testing.assert_allclose(metric(scores, labels, weight), expected, rtol=0, atol=1e-12)
