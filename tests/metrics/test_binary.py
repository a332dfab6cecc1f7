import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from mmjax.metrics.binary import binary_metrics
from tests.metrics.splits import splits

_NAMES = [
    *("accuracy", "precision", "recall", "f1", "auroc", "average_precision", "calibration_error"),
    *("true_positives", "false_positives", "true_negatives", "false_negatives"),
]


def _bits(metrics):
    return {name: np.float64(value).tobytes() for name, value in metrics.items()}


@settings(deadline=None, max_examples=30)
@given(splits())
def test_every_metric_is_a_finite_float_or_a_rank_of_one_class(split):
    logits, labels, weight = split
    metrics = binary_metrics(logits, labels, weight)
    assert list(metrics) == _NAMES
    assert {type(value) for value in metrics.values()} == {float}
    undefined = {name for name, value in metrics.items() if not np.isfinite(value)}
    one_class = len(set(labels)) == 1
    assert undefined == ({"auroc", "average_precision"} if one_class else set())
    np.testing.assert_allclose(sum(list(metrics.values())[-4:]), weight.sum(), rtol=1e-12)


@settings(deadline=None, max_examples=30)
@given(splits(), st.randoms(use_true_random=False))
def test_the_order_of_the_examples_changes_no_bit(split, random):
    order = list(range(len(split[0])))
    random.shuffle(order)
    # Thirds: sums that are rounded, and so would show their order.
    logits, labels, weight = split[0] / 3, split[1], split[2] / 3
    shuffled = binary_metrics(logits[order], labels[order], weight[order])
    assert _bits(shuffled) == _bits(binary_metrics(logits, labels, weight))


@settings(deadline=None, max_examples=30)
@given(splits(), st.sampled_from([np.nan, np.inf, -1e4, 3.0]), st.sampled_from([-1, 0, 1, 7]))
def test_examples_of_weight_zero_change_no_bit(split, logit, label):
    padded = [
        np.insert(column, [0, len(column)], value)
        for column, value in zip(split, (logit, label, 0.0), strict=True)
    ]
    assert _bits(binary_metrics(*padded)) == _bits(binary_metrics(*split))


@settings(deadline=None, max_examples=30)
@given(splits())
def test_counts_and_rates_are_those_of_scikit_learn(split):
    logits, labels, weight = split
    options = {"sample_weight": weight, "zero_division": 0.0}
    predicted = logits > 0
    confusion = sklearn.metrics.confusion_matrix(
        labels, predicted, labels=[0, 1], sample_weight=weight
    )
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(labels, predicted, sample_weight=weight),
        "precision": sklearn.metrics.precision_score(labels, predicted, **options),
        "recall": sklearn.metrics.recall_score(labels, predicted, **options),
        "f1": sklearn.metrics.f1_score(labels, predicted, **options),
        "true_positives": confusion[1, 1],
        "false_positives": confusion[0, 1],
        "true_negatives": confusion[0, 0],
        "false_negatives": confusion[1, 0],
    }
    metrics = binary_metrics(logits, labels, weight)
    found = [metrics[name] for name in expected]
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-12)


def test_weights_are_summed_in_float64_beyond_what_float32_can_hold():
    weight = np.array([2.0**24, 1.0], np.float32)
    metrics = binary_metrics(np.ones(2, np.float32), np.ones(2, np.int32), weight)
    assert metrics["true_positives"] == 2**24 + 1


def test_one_example_has_metrics():
    metrics = binary_metrics(np.array([2.0]), np.array([1]), np.array([1.0]))
    assert metrics["accuracy"] == metrics["precision"] == metrics["recall"] == metrics["f1"] == 1
    assert np.isnan(metrics["auroc"])


def test_several_labels_are_a_micro_average():
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(30, 4)), random.integers(0, 2, (30, 4))
    weight = random.uniform(0.1, 2.0, 30)
    metrics = binary_metrics(logits, labels, weight)
    flat = binary_metrics(logits.ravel(), labels.ravel(), np.repeat(weight, 4))
    assert _bits(metrics) == _bits(flat)
    expected = sklearn.metrics.f1_score(
        labels.ravel(), logits.ravel() > 0, sample_weight=np.repeat(weight, 4)
    )
    np.testing.assert_allclose(metrics["f1"], expected, rtol=1e-12)


def test_whatever_the_kind_of_numbers_the_metrics_are_the_same():
    logits, labels, weight = np.array([0.5, -1.0, 2.0]), np.array([1, 0, 0]), np.ones(3)
    expected = _bits(binary_metrics(logits, labels, weight))
    for kind in (np.float16, np.float32, jnp.bfloat16):
        for label in (bool, np.uint8, np.float32):
            metrics = binary_metrics(logits.astype(kind), labels.astype(label), weight)
            assert _bits(metrics) == expected
    on_device = (jnp.asarray(logits), jnp.asarray(labels), jnp.asarray(weight))
    assert _bits(binary_metrics(*on_device)) == expected


_GOOD = {"logits": np.zeros(3), "labels": np.zeros(3), "weight": np.array([0.0, 1.0, 1.0])}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": np.array([0, 0, 2])}, r"labels 0 or 1, got 2\.0 in row 2$"),
        ({"labels": np.array([0, -1, 2])}, r"got -1\.0 in row 1$"),
        ({"labels": np.array([0, 0, np.nan])}, "got nan in row 2"),
        (
            {"logits": np.zeros((3, 2)), "labels": np.array([[0, 5], [0, 1], [0, 0.5]])},
            r"got 0\.5 in row 2, label 1",
        ),
        ({"labels": np.zeros((3, 1))}, r"logits \(3,\), labels \(3, 1\), weight \(3,\)"),
        ({"weight": np.ones(2)}, r"logits \(3,\), labels \(3,\), weight \(2,\)"),
        ({"weight": np.ones((3, 1))}, r"weight \(3, 1\)"),
        ({"weight": np.array([0.0, 1.0, -2.0])}, r"weights of at least 0, got -2\.0 in row 2"),
        ({"weight": np.array([np.nan, 1.0, 1.0])}, "got nan in row 0"),
        ({"weight": np.array([1.0, np.inf, 1.0])}, "got inf in row 1"),
        ({"weight": np.zeros(3)}, "positive weight, got none among 3"),
        ({name: np.zeros(0) for name in _GOOD}, "positive weight, got none among 0"),
        ({"logits": np.array([np.nan, np.nan, 0.0])}, "1 of 2 logits are NaN"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(wrong, message):
    with pytest.raises(ValueError, match=message):
        binary_metrics(**{**_GOOD, **wrong})
