import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from mmjax.metrics.regression import regression_metrics
from tests.metrics import made_up

_SEEDS = range(8)


def test_errors_are_those_of_scikit_learn():
    for seed in _SEEDS:
        predicted, target, weight = made_up.numbers_split(seed)
        got = regression_metrics(predicted, target, weight)
        assert {type(value) for value in got.values()} == {float}
        known = {"sample_weight": weight}
        expected = {
            "mae": sklearn.metrics.mean_absolute_error(target, predicted, **known),
            "rmse": sklearn.metrics.root_mean_squared_error(target, predicted, **known),
            "r2": sklearn.metrics.r2_score(target, predicted, **known),
        }
        np.testing.assert_allclose([got[name] for name in expected], list(expected.values()))


def test_correlations_are_those_of_scipy():
    for seed in _SEEDS:
        predicted, target, _ = made_up.numbers_split(seed)
        repeats = np.random.default_rng(seed).integers(0, 4, 50)
        got = regression_metrics(predicted, target, repeats)
        again = np.repeat(predicted, repeats), np.repeat(target, repeats)
        pearson = scipy.stats.pearsonr(*again).statistic
        spearman = scipy.stats.spearmanr(*again).statistic
        np.testing.assert_allclose([got["pearson"], got["spearman"]], [pearson, spearman])


def test_order_and_fillers_change_no_bit_and_weights_repeat():
    for seed in _SEEDS:
        split = made_up.numbers_split(seed)
        made_up.assert_order_changes_no_bit(regression_metrics, split, seed)
        made_up.assert_weight_zero_changes_no_bit(regression_metrics, split)
        made_up.assert_weights_repeat(regression_metrics, split, seed)


def test_what_does_not_vary_has_no_correlation_and_no_r2():
    varying, constant, weight = np.arange(6.0), np.full(6, 0.1), np.ones(6)
    mean = np.sum(weight / weight.sum() * constant)
    assert mean != 0.1  # rounded, so that the variance about it is not 0
    metrics = regression_metrics(varying, constant, weight)
    undefined = {name for name, value in metrics.items() if np.isnan(value)}
    assert undefined == {"r2", "pearson", "spearman"}
    metrics = regression_metrics(constant, varying, weight)
    undefined = {name for name, value in metrics.items() if np.isnan(value)}
    assert undefined == {"pearson", "spearman"}


def test_a_perfect_prediction_is_not_rounded_above_one():
    for seed in range(50):
        random = np.random.default_rng(seed)
        target = random.normal(size=20) * 1e-200
        metrics = regression_metrics(target, target, random.uniform(0.1, 1, 20))
        assert metrics["mae"] == metrics["rmse"] == 0
        assert 1 - 1e-12 < metrics["pearson"] <= 1
        assert 1 - 1e-12 < metrics["spearman"] <= 1
        assert np.isnan(metrics["r2"])  # the squares of such numbers are 0


_GOOD = {
    "predicted": np.array([0.0, 1.0, 2.0]),
    "target": np.array([np.nan, 1.0, 3.0]),
    "weight": np.array([0.0, 1.0, 1.0]),
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"predicted": np.zeros((3, 1))}, r"predicted \(3, 1\), target \(3,\), weight \(3,\)$"),
        ({"target": np.zeros(2)}, r"target \(2,\)"),
        ({"weight": np.ones((3, 1))}, r"weight \(3, 1\)"),
        ({name: np.ones((3, 1)) for name in _GOOD}, r"one shape \[example\], got"),
        ({"weight": np.array([0.0, 1.0, -2.0])}, r"at least 0, got -2\.0 in row 2"),
        ({"weight": np.zeros(3)}, "positive weight, got none among 3"),
        ({"predicted": np.array([0.0, 0.0, np.inf])}, "finite predictions, got inf in row 2"),
        ({"target": np.array([0.0, np.nan, 0.0])}, "finite targets, got nan in row 1"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(wrong, message):
    with pytest.raises(ValueError, match=message):
        regression_metrics(**{**_GOOD, **wrong})
