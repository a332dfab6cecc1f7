import numpy as np
import pytest
import scipy.special
from sklearn.isotonic import IsotonicRegression

from mmjax.metrics import calibration_error
from mmjax.statistics.scaling import Isotonic, Temperature, two_classes


def planted(seed, count, classes=3, factor=3.0):
    """Logits that are `factor` times too large."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes))
    p = scipy.special.softmax(logits, axis=1)
    labels = (np.cumsum(p, axis=1) < rng.random((count, 1))).sum(axis=1)
    return factor * logits, labels


def ece(p, labels):
    top = p.argmax(axis=1)
    right = (top == labels).astype(float)
    return calibration_error(p.max(axis=1), right, np.ones(len(p)))


def test_the_planted_temperature_is_found():
    for factor in (0.5, 3.0):
        logits, labels = planted(0, 20_000, factor=factor)
        assert Temperature.fit(logits, labels).temperature == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize("kind", [Temperature, Isotonic])
def test_new_examples_are_better_calibrated(kind):
    fitted, (new, labels) = kind.fit(*planted(0, 4000)), planted(1, 4000)
    before, after = ece(scipy.special.softmax(new, axis=1), labels), ece(fitted(new), labels)
    assert before > 0.15 and after < 0.035
    assert np.allclose(fitted(new).sum(axis=1), 1)


def test_isotonic_is_that_of_sklearn():
    logits, labels = planted(2, 300, classes=2)
    fitted = Isotonic.fit(logits, labels)
    new = scipy.special.softmax(planted(3, 200, classes=2)[0], axis=1)[:, 1]
    p = scipy.special.softmax(logits, axis=1)[:, 1]
    theirs = IsotonicRegression(out_of_bounds="clip").fit(p, labels == 1).predict(new)
    ours = np.interp(new, fitted.knots[1], fitted.values[1])
    assert np.allclose(ours, theirs)


def test_the_log_odds_of_one_label_are_two_classes():
    p = scipy.special.softmax(two_classes(np.array([0.0, 2.0])), axis=1)[:, 1]
    assert p.tolist() == scipy.special.expit([0.0, 2.0]).tolist()


def test_one_class_gives_finite_probabilities():
    logits, labels = planted(0, 20)[0], np.zeros(20, int)
    for kind in (Temperature, Isotonic):
        assert np.isfinite(kind.fit(logits, labels)(logits)).all()
