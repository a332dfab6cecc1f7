import numpy as np
import pytest
import sklearn.metrics

from mmjax.metrics.regression import regression_metrics
from mmjax.metrics.sentiment import sentiment_metrics
from tests.metrics import made_up

_SEEDS = range(8)


def _binary(truth, predicted, weight):
    known = {"sample_weight": weight}
    return (
        sklearn.metrics.accuracy_score(truth, predicted, **known),
        sklearn.metrics.f1_score(truth, predicted, average="weighted", **known),
    )


def test_two_classes_are_those_of_the_published_scripts():
    for seed in _SEEDS:
        predicted, target, weight = made_up.numbers_split(seed)
        predicted[:5], target[5:9] = 0.0, 0.0
        got = sentiment_metrics(predicted, target, weight)
        assert {type(value) for value in got.values()} == {float}
        both = _binary(target >= 0, predicted >= 0, weight)
        np.testing.assert_allclose((got["acc2_nonnegative"], got["f1_nonnegative"]), both)
        some = target != 0
        both = _binary(target[some] > 0, predicted[some] > 0, weight[some])
        np.testing.assert_allclose((got["acc2_positive"], got["f1_positive"]), both)


def test_a_prediction_of_zero_is_non_negative_and_not_positive():
    metrics = sentiment_metrics(np.zeros(2), np.array([-1.0, 2.0]), np.array([1.0, 3.0]))
    assert metrics["acc2_nonnegative"] == 0.75
    assert metrics["acc2_positive"] == 0.25


def test_seven_classes_are_clipped_and_halves_go_to_the_even_number():
    pairs = [(9.0, 2.7), (-9.0, -3.0), (0.5, 0.0), (1.5, 2.0), (2.5, 3.0), (-0.5, -0.4)]
    predicted, target = np.array(pairs).T
    right = [1, 1, 1, 1, 0, 1]
    weight = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    assert sentiment_metrics(predicted, target, weight)["acc7"] == weight @ right / weight.sum()


def test_error_and_correlation_are_those_of_every_regression():
    split = made_up.numbers_split(0)
    got, expected = sentiment_metrics(*split), regression_metrics(*split)
    assert (got["mae"], got["correlation"]) == (expected["mae"], expected["pearson"])


def test_order_and_fillers_change_no_bit_and_weights_repeat():
    for seed in _SEEDS:
        split = made_up.numbers_split(seed)
        made_up.assert_order_changes_no_bit(sentiment_metrics, split, seed)
        made_up.assert_weight_zero_changes_no_bit(sentiment_metrics, split)
        made_up.assert_weights_repeat(sentiment_metrics, split, seed)


def test_neutral_targets_alone_have_no_polarity():
    metrics = sentiment_metrics(np.array([1.0, -1.0]), np.zeros(2), np.ones(2))
    undefined = {name for name, value in metrics.items() if np.isnan(value)}
    assert undefined == {"acc2_positive", "f1_positive", "correlation"}


def test_wrong_examples_are_an_error():
    with pytest.raises(ValueError, match="finite targets, got nan in row 1"):
        sentiment_metrics(np.zeros(2), np.array([0.0, np.nan]), np.ones(2))
