import numpy as np
import pytest
import sklearn.metrics

from mmjax.statistics import thresholds


def drawn(seed, count=200):
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count)
    scores = np.round(np.clip(0.4 + 0.2 * labels + 0.2 * rng.normal(size=count), 0, 1), 2)
    return scores, labels


@pytest.mark.parametrize("seed", range(5))
def test_each_rule_is_the_best_of_all_thresholds(seed):
    scores, labels = drawn(seed)
    points = [thresholds.operating_point(scores, labels, t) for t in np.unique(scores)]
    youden = thresholds.choose(scores, labels)
    best = max(points, key=lambda p: p.sensitivity + p.specificity)
    assert youden == best.threshold
    found = thresholds.operating_point(scores, labels, thresholds.choose(scores, labels, "f1"))
    assert found.f1 == max(p.f1 for p in points)
    at = thresholds.choose(scores, labels, "sensitivity", 0.8)
    assert at == max(p.threshold for p in points if p.sensitivity >= 0.8)
    at = thresholds.choose(scores, labels, "specificity", 0.8)
    assert at == min(p.threshold for p in points if p.specificity >= 0.8)


def test_an_operating_point_is_that_of_sklearn():
    scores, labels = drawn(7)
    got, found = thresholds.operating_point(scores, labels, 0.5), scores >= 0.5
    assert got.sensitivity == pytest.approx(sklearn.metrics.recall_score(labels, found))
    assert got.specificity == pytest.approx(
        sklearn.metrics.recall_score(labels, found, pos_label=0)
    )
    assert got.precision == pytest.approx(sklearn.metrics.precision_score(labels, found))
    assert got.negative_value == pytest.approx(
        sklearn.metrics.precision_score(labels, found, pos_label=0)
    )
    assert got.f1 == pytest.approx(sklearn.metrics.f1_score(labels, found))


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="both labels"):
        thresholds.choose(np.ones(3), np.ones(3))
    nobody = thresholds.operating_point(np.zeros(3), np.ones(3), 0.5)
    assert nobody.sensitivity == 0 and np.isnan([nobody.precision, nobody.specificity]).all()
    assert thresholds.choose(np.zeros(2), np.array([0, 1]), "specificity") == float("inf")
    assert thresholds.of_costs(1.0, 9.0) == pytest.approx(0.1)
