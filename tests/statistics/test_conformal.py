import math

import numpy as np
import pytest

from mmjax.statistics import conformal


def planted(seed, count, classes=4):
    """Probabilities, and labels that are drawn from others: the model is overconfident."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes))
    known = logits + [2.0, 0, 0, 0]  # the first class is more frequent than the model believes
    given = ((1, known), (3, logits))
    p, sharp = (np.exp(s * x) / np.exp(s * x).sum(1, keepdims=True) for s, x in given)
    labels = np.array([rng.choice(classes, p=row) for row in p])
    return sharp, labels


def test_sets_cover_the_truth_as_often_as_they_promise():
    covered, by_class = [], []
    for seed in range(60):
        p, labels = planted(seed, 300)
        new, truth = planted(1000 + seed, 300)
        for alpha in (0.1, 0.3):
            limits = conformal.fit_classes(p, labels, alpha)
            share, size = conformal.coverage(conformal.classes(new, limits), truth)
            covered.append(share - (1 - alpha))
            assert 1 <= size <= 4 or alpha == 0.3
        limits = conformal.fit_classes(p, labels, 0.2, by_class=True)
        sets = conformal.classes(new, limits)
        by_class.append([np.mean(sets[truth == c, c]) for c in range(4)])
    # The mean coverage is between 1 - alpha and 1 - alpha + 1 / (n + 1); its noise is below 0.004.
    assert -0.008 < np.mean(covered) < 0.012
    assert np.all(np.abs(np.mean(by_class, axis=0) - 0.8) < 0.025)


def test_intervals_of_numbers_cover_the_truth():
    covered = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        predicted = rng.normal(size=200)
        half = conformal.fit_numbers(predicted, predicted + rng.standard_t(3, 200), 0.1)
        covered.append(np.mean(np.abs(rng.standard_t(3, 200)) <= half))
    assert 0.89 < np.mean(covered) < 0.915


def test_the_quantile_is_the_one_of_the_theorem():
    scores = np.arange(1.0, 10.0)
    assert conformal.quantile(scores, 0.1) == 9.0  # ceil(10 * 0.9) = 9
    assert conformal.quantile(scores, 0.5) == 5.0
    assert conformal.quantile(scores, 0.05) == math.inf  # ten scores are needed
    with pytest.raises(ValueError, match="alpha: expected more than 0"):
        conformal.quantile(scores, 0.0)


def test_few_examples_give_sets_of_all_classes():
    limits = conformal.fit_classes(np.array([[0.9, 0.1]]), np.array([0]), 0.1)
    assert conformal.classes(np.array([[1.0, 0.0]]), limits).all()
