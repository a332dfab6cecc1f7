import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from mmjax.metrics.classification import classification_metrics
from tests.metrics import made_up

_SEEDS = range(8)


def _balanced_accuracy(labels, predicted, weight):
    # Not scikit-learn's function of this name: that warns of classes that are only predicted.
    return sklearn.metrics.recall_score(
        *(labels, predicted),
        labels=np.unique(labels),
        average="macro",
        sample_weight=weight,
        zero_division=0,
    )


def _auroc(labels, p, weight):
    # Class by class: scikit-learn's one-vs-rest takes neither weights nor absent classes.
    return np.mean(
        [
            sklearn.metrics.roc_auc_score(labels == c, p[:, c], sample_weight=weight)
            for c in np.unique(labels)
        ]
    )


def _calibration_error(labels, p, weight):
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    error = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        error += abs(np.sum(weight[inside] * (right[inside] - confidence[inside])))
    return error / weight.sum()


def _oracle(logits, labels, weight):
    classes, predicted = logits.shape[1], logits.argmax(axis=1)
    p = scipy.special.softmax(logits, axis=1)
    known = {"sample_weight": weight}
    f1 = {**known, "zero_division": 0, "labels": np.union1d(labels, predicted)}
    return {
        "accuracy": sklearn.metrics.accuracy_score(labels, predicted, **known),
        "balanced_accuracy": _balanced_accuracy(labels, predicted, weight),
        # Backwards: of equal logits scikit-learn takes the higher class first.
        "top5_accuracy": sklearn.metrics.top_k_accuracy_score(
            classes - 1 - labels, logits[:, ::-1], k=5, labels=np.arange(classes), **known
        ),
        "macro_f1": sklearn.metrics.f1_score(labels, predicted, average="macro", **f1),
        "weighted_f1": sklearn.metrics.f1_score(labels, predicted, average="weighted", **f1),
        "log_loss": sklearn.metrics.log_loss(labels, p, labels=np.arange(classes), **known),
        "auroc": _auroc(labels, p, weight),
        "cohen_kappa": sklearn.metrics.cohen_kappa_score(labels, predicted, **known),
        "calibration_error": _calibration_error(labels, p, weight),
    }


@pytest.mark.parametrize("seed", _SEEDS)
def test_every_metric_is_that_of_scikit_learn(seed):
    split = made_up.classes_split(seed)
    got, expected = classification_metrics(*split), _oracle(*split)
    assert sorted(got) == sorted(expected)
    assert {type(value) for value in got.values()} == {float}
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-12, atol=1e-13, err_msg=name)


def test_order_and_fillers_change_no_bit_and_weights_repeat():
    for seed in _SEEDS:
        split = made_up.classes_split(seed, classes=40)  # enough to show in which order they add
        made_up.assert_order_changes_no_bit(classification_metrics, split, seed)
        made_up.assert_weight_zero_changes_no_bit(classification_metrics, split)
        made_up.assert_weights_repeat(classification_metrics, split, seed)


def test_the_kind_of_numbers_changes_nothing():
    split = np.array([[0.5, -1.0], [2.0, 3.0], [0.25, 0.0]]), np.array([0, 1, 1]), np.ones(3)
    expected = made_up.bits(classification_metrics(*split))
    for kind in (np.float32, jnp.bfloat16):
        for label in (np.int8, np.uint32, bool, float):
            on_device = (jnp.asarray(split[0], kind), split[1].astype(label), jnp.ones(3, kind))
            assert made_up.bits(classification_metrics(*on_device)) == expected


def test_top5_takes_the_lower_class_of_equal_logits_and_needs_more_than_five_classes():
    metrics = classification_metrics(np.zeros((6, 6)), np.arange(6), np.ones(6))
    assert metrics["top5_accuracy"] == 5 / 6
    assert metrics["accuracy"] == 1 / 6
    five = classification_metrics(np.zeros((5, 5)), np.arange(5), np.ones(5))
    assert "top5_accuracy" not in five


def test_confident_probabilities_are_ranked_and_lost_without_rounding():
    # p(0) = 1 - e^-40 and 1 - e^-50: one number in float64.
    logits = np.array([[0.0, -50.0], [0.0, -40.0]])
    metrics = classification_metrics(logits, np.array([0, 1]), np.ones(2))
    assert metrics["auroc"] == 1.0
    np.testing.assert_allclose(metrics["log_loss"], 20.0)
    right = classification_metrics(logits, np.array([0, 0]), np.ones(2))
    np.testing.assert_allclose(right["log_loss"], (np.exp(-50) + np.exp(-40)) / 2, rtol=1e-12)


def test_one_class_has_neither_rank_nor_agreement_beyond_chance():
    metrics = classification_metrics(np.eye(3)[[1, 1]], np.array([1, 1]), np.array([0.1, 0.2]))
    undefined = {name for name, value in metrics.items() if np.isnan(value)}
    assert undefined == {"auroc", "cohen_kappa"}
    assert metrics["accuracy"] == metrics["macro_f1"] == metrics["weighted_f1"] == 1


def test_an_excluded_class_costs_nothing_unless_it_is_the_label():
    logits = np.array([[0.0, 0.0, -np.inf], [0.0, 0.0, -np.inf]])
    metrics = classification_metrics(logits, np.array([0, 1]), np.ones(2))
    np.testing.assert_allclose(metrics["log_loss"], np.log(2))
    assert classification_metrics(logits, np.array([0, 2]), np.ones(2))["log_loss"] == np.inf


_WEIGHT = np.array([0.0, 1.0, 1.0])
_GOOD = {"logits": np.zeros((3, 2)), "labels": np.array([9, 0, 1]), "weight": _WEIGHT}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"logits": np.zeros(3)}, r"logits \(3,\), labels \(3,\), weight \(3,\)$"),
        ({"logits": np.zeros((3, 0))}, r"got logits \(3, 0\)"),
        ({"labels": np.zeros((3, 1), int)}, r"labels \(3, 1\)"),
        ({"weight": np.ones(2)}, r"weight \(2,\)"),
        ({"labels": np.array([0, 0, 2])}, r"labels in 0\.\.1, got 2 in row 2$"),
        ({"labels": np.array([0, -1, 0])}, r"got -1 in row 1$"),
        ({"labels": np.array([0, 0.5, 0])}, r"got 0\.5 in row 1$"),
        ({"labels": np.array([0, np.nan, 0])}, r"got nan in row 1$"),
        ({"weight": np.array([0.0, 1.0, -2.0])}, r"at least 0, got -2\.0 in row 2"),
        ({"weight": np.array([0.0, np.nan, 1.0])}, "got nan in row 1"),
        ({"weight": np.zeros(3)}, "positive weight, got none among 3"),
        ({"logits": np.array([[0, 0], [0, 0], [0, np.nan]])}, "maximum, got nan in row 2"),
        ({"logits": np.array([[0, 0], [np.inf, 0], [0, 0]])}, "got inf in row 1"),
        ({"logits": np.array([[0, 0], [-np.inf, -np.inf], [0, 0]])}, "got -inf in row 1"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(wrong, message):
    with pytest.raises(ValueError, match=message):
        classification_metrics(**{**_GOOD, **wrong})
