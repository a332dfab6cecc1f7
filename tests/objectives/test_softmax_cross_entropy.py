import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from mmjax.data.targets import Category
from mmjax.objectives import SoftmaxCrossEntropy
from mmjax.types import Batch, Outputs
from tests.samples import target

sce = functools.partial(SoftmaxCrossEntropy, output="y", target="t")

LOGITS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
LABELS = np.array([0, 2, 1, 0, 2, 0], np.int32)
WEIGHT = np.array([1, 2, 0.5, 0, 1, 3], np.float32)
KIND = Category(("cat", "dog", "eel"), (3, 1, 2))


def batch(labels=LABELS, weight=WEIGHT):
    weight = np.asarray(weight, np.float32)
    return Batch({}, {"t": target(np.asarray(labels, np.int32))}, weight, np.arange(len(weight)))


def loss(objective, logits=LOGITS, given=None):
    outputs = Outputs({"y": jnp.asarray(logits)})
    return objective(outputs, batch() if given is None else given)["loss"].mean()


def test_it_is_the_log_loss_of_scikit_learn_and_the_cross_entropy_of_optax(standard_promotion):
    p = np.exp(LOGITS.astype(float)) / np.exp(LOGITS.astype(float)).sum(axis=1, keepdims=True)
    expected = log_loss(LABELS, p, sample_weight=WEIGHT)
    np.testing.assert_allclose(loss(sce()), expected, rtol=1e-6)
    each = optax.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS)
    np.testing.assert_allclose(loss(sce()), np.average(each, weights=WEIGHT), rtol=1e-6)


def test_smoothing_is_that_of_optax(standard_promotion):
    targets = optax.smooth_labels(jax.nn.one_hot(LABELS, 3), 0.3)
    each = optax.softmax_cross_entropy(LOGITS, targets)
    expected = np.average(each, weights=WEIGHT)
    np.testing.assert_allclose(loss(sce(label_smoothing=0.3)), expected, rtol=1e-6)


def test_class_weights_are_weights_of_the_examples_loss_and_of_nothing_else():
    found = sce(class_weights=(1.0, 0.5, 4.0))(Outputs({"y": jnp.asarray(LOGITS)}), batch())
    each = -np.take_along_axis(np.asarray(jax.nn.log_softmax(LOGITS)), LABELS[:, None], axis=1)
    scaled = WEIGHT * np.array([1.0, 0.5, 4.0])[LABELS]
    np.testing.assert_allclose(
        found["loss"].mean(), np.average(each[:, 0], weights=scaled), rtol=1e-6
    )
    plain = sce()(Outputs({"y": jnp.asarray(LOGITS)}), batch())
    for name in ("accuracy", "confidence"):
        assert found[name] == plain[name]
    with pytest.raises(ValueError, match=r"expected 3 numbers, one for each class .* 'y', got 2"):
        loss(sce(class_weights=(1.0, 2.0)))


def test_balanced_weights_are_those_of_scikit_learn():
    objective = sce(class_weights="balanced").fitted(KIND)
    labels = np.repeat([0, 1, 2], KIND.counts)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(objective.class_weights, expected)
    assert sce(class_weights=(1.0, 2.0)).fitted(KIND) == sce(class_weights=(1.0, 2.0))
    with pytest.raises(ValueError, match='class_weights "balanced": the data tells no counts of t'):
        sce(class_weights="balanced").fitted(None)


@pytest.mark.parametrize("garbage", [np.inf, -np.inf, np.nan, 3e38])
def test_examples_of_weight_0_count_for_nothing_whatever_they_hold(garbage):
    logits = LOGITS.copy()
    logits[3] = garbage
    assert loss(sce(), logits) == loss(sce())
    gradient = jax.grad(lambda x: loss(sce(), x))(jnp.asarray(logits))
    assert np.all(np.isfinite(gradient)) and not np.any(gradient[3]) and np.any(gradient[0])


def test_classes_that_there_are_not_are_counted_as_invalid_and_as_nothing_else():
    outputs = Outputs({"y": jnp.asarray(LOGITS)})
    given = batch([0, 3, 1, 0, -1, 0], np.ones(6))
    found = sce()(outputs, given)
    assert found["invalid"].total == 2 and found["invalid"].count == 6
    rest = np.array([0, 2, 3, 5])
    expected = loss(sce(), LOGITS[rest], batch(np.array([0, 1, 0, 0]), np.ones(4)))
    np.testing.assert_allclose(found["loss"].mean(), expected, rtol=1e-6)
    records = {name: np.asarray(x) for name, x in sce().record(outputs, given).items()}
    assert records["weight"].tolist() == [1, 0, 1, 1, 0, 1]
    assert records["target"].tolist() == [0, 0, 1, 0, 0, 0]
    metrics = sce().metrics(records, KIND)
    assert metrics["accuracy"] == found["accuracy"].mean()
    assert sce().metrics({**records, "weight": np.zeros(6)}, KIND) == {}


def test_predictions_are_the_names_of_classes_with_their_probabilities():
    outputs = Outputs({"y": np.array([[0.0, np.log(2), 0.0], [1e4, 0, -1e4]], np.float32)})
    first, second = sce().predictions(outputs, KIND)
    assert first["value"] == "dog" and first["probability"] == pytest.approx(0.5)
    assert first["probabilities"] == pytest.approx({"cat": 0.25, "dog": 0.5, "eel": 0.25})
    assert second["value"] == "cat" and second["probability"] == 1.0
    assert json.loads(json.dumps([first, second])) == [first, second]
    assert [one["value"] for one in sce().predictions(outputs, None)] == ["1", "0"]


def test_logits_without_classes_are_refused():
    with pytest.raises(ValueError, match=r"'y' gives \(6,\) and target 't' is \(6,\): expected lo"):
        loss(sce(), LOGITS[:, 0])


@pytest.mark.parametrize("wrong", [{"label_smoothing": 2.0}, {"class_weights": (1.0, -1.0)}])
def test_impossible_settings_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        sce(**wrong)
