import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from mmjax.metrics.calibration import calibration_error


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 10, 15]))
def test_bins_are_those_of_scikit_learn(seed, bins):
    random = np.random.default_rng(seed)
    labels, repeats = random.integers(0, 2, 40), random.integers(1, 4, 40)
    labels[:2] = [0, 1]  # scikit-learn needs both
    probability = random.choice([0.0, 0.1, 0.2, 0.5, 0.7, 1.0, random.random()], 40)
    again, labels_again = np.repeat(probability, repeats), np.repeat(labels, repeats)
    positive, predicted = calibration_curve(labels_again, again, n_bins=bins)
    counts = np.histogram(-again, -np.linspace(0, 1, bins + 1)[::-1])[0][
        ::-1
    ]  # closed on the right
    expected = np.sum(counts[counts > 0] * np.abs(positive - predicted)) / repeats.sum()
    error = calibration_error(probability, labels * 1.0, repeats * 1.0, bins=bins)
    np.testing.assert_allclose(error, expected, atol=1e-12)


def test_the_error_is_the_weighted_mean_gap_of_the_bins():
    probability, labels = np.array([0.1, 0.3, 0.9]), np.array([0.0, 0.0, 1.0])
    # bin (0, 0.5]: mean label 0, mean probability 0.2, weight 2; bin (0.5, 1]: |1 - 0.9|, weight 6
    error = calibration_error(probability, labels, np.array([1.0, 1.0, 6.0]), bins=2)
    np.testing.assert_allclose(error, (2 * 0.2 + 6 * 0.1) / 8)


def test_there_are_fifteen_bins_unless_told_otherwise():
    random = np.random.default_rng(0)
    split = random.random(200), random.integers(0, 2, 200) * 1.0, np.ones(200)
    assert calibration_error(*split) == calibration_error(*split, bins=15)
    assert calibration_error(*split) != calibration_error(*split, bins=14)


def test_calibrated_probabilities_have_no_error_and_wrong_ones_an_error_of_one():
    labels = np.array([0.0, 1.0])
    assert calibration_error(np.array([0.5, 0.5]), labels, np.ones(2)) == 0.0
    assert calibration_error(np.array([0.0, 1.0]), labels, np.ones(2)) == 0.0
    assert calibration_error(np.array([1.0, 0.0]), labels, np.ones(2)) == 1.0


def test_no_bin_is_an_error():
    with pytest.raises(ValueError, match="at least 1 bin, got 0"):
        calibration_error(np.zeros(1), np.zeros(1), np.ones(1), bins=0)
