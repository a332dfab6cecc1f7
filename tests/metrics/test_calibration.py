import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from mmjax.metrics.calibration import CalibrationBins
from tests.metrics.splits import splits


@settings(deadline=None, max_examples=40)
@given(splits(), st.sampled_from([1, 2, 10, 15]))
def test_bins_are_those_of_scikit_learn(split, bins):
    logits, labels, _ = split
    repeats = 1 + np.arange(labels.size) % 3  # scikit-learn's curve knows no weights
    logits_again, labels_again = np.repeat(logits, repeats), np.repeat(labels, repeats)
    got = CalibrationBins.of(logits, labels, repeats * 1.0, bins=bins)
    # An example of each class, so that scikit-learn takes it; both in bins of their own sums.
    probability = scipy.special.expit(logits_again)
    positive, predicted = calibration_curve(
        np.append(labels_again, [0, 1]), np.append(probability, [0.0, 1.0]), n_bins=bins
    )
    full = got + CalibrationBins.of(np.array([-1e4, 1e4]), np.array([0, 1]), np.ones(2), bins=bins)
    some = full.weight > 0
    np.testing.assert_allclose(full.label[some] / full.weight[some], positive, atol=1e-12)
    np.testing.assert_allclose(full.probability[some] / full.weight[some], predicted, atol=1e-12)


def test_the_error_is_the_weighted_mean_gap_of_the_bins():
    logits = scipy.special.logit(np.array([0.1, 0.3, 0.9]))
    # bin (0, 0.5]: mean label 0, mean probability 0.2, weight 2; bin (0.5, 1]: |1 - 0.9|, weight 6
    bins = CalibrationBins.of(logits, np.array([0, 0, 1]), np.array([1.0, 1.0, 6.0]), bins=2)
    np.testing.assert_allclose(bins.compute(), (2 * 0.2 + 6 * 0.1) / 8)


def test_there_are_fifteen_bins_unless_told_otherwise():
    assert CalibrationBins.of(np.zeros(1), np.zeros(1), np.ones(1)).weight.shape == (15,)


def test_calibrated_probabilities_have_no_error():
    half = CalibrationBins.of(np.zeros(2), np.array([0, 1]), np.ones(2))
    assert half.compute() == 0.0


def test_extreme_logits_are_calibrated_when_right_and_wholly_wrong_when_wrong():
    logits = np.array([1e4, -1e4])
    assert CalibrationBins.of(logits, np.array([1, 0]), np.ones(2)).compute() == 0.0
    assert CalibrationBins.of(logits, np.array([0, 1]), np.ones(2)).compute() == 1.0


def test_bins_of_batches_add_up_to_those_of_the_split():
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(12, 2)), random.integers(0, 2, (12, 2))
    weight = random.uniform(0.1, 2, 12)
    whole = CalibrationBins.of(logits, labels, weight)
    parts = [slice(start, start + 5) for start in range(0, 12, 5)]
    first, *others = [CalibrationBins.of(logits[p], labels[p], weight[p]) for p in parts]
    added = sum(others, start=first)
    np.testing.assert_allclose(added.weight, whole.weight, rtol=1e-14)
    np.testing.assert_allclose(added.compute(), whole.compute(), rtol=1e-12)


def test_different_numbers_of_bins_cannot_be_added():
    one, two = (
        CalibrationBins.of(np.zeros(1), np.zeros(1), np.ones(1), bins=bins) for bins in (1, 2)
    )
    with pytest.raises(ValueError, match="cannot add 1 bins and 2"):
        _ = one + two


def test_no_bin_is_an_error():
    with pytest.raises(ValueError, match="at least 1 bin, got 0"):
        CalibrationBins.of(np.zeros(1), np.zeros(1), np.ones(1), bins=0)
