import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss

from mmjax.data.targets import MultiLabel
from mmjax.objectives import BinaryCrossEntropy
from mmjax.types import Batch, Outputs
from tests.samples import target

bce = functools.partial(BinaryCrossEntropy, output="match", target="match")


def batch(labels, weight=None):
    labels = np.asarray(labels, np.float32)
    count = len(labels)
    weight = np.ones(count, np.float32) if weight is None else np.asarray(weight, np.float32)
    return Batch({}, {"match": target(labels)}, weight, np.arange(count))


def loss(objective, logits, labels, weight=None):
    outputs = Outputs({"match": jnp.asarray(logits, jnp.float32)})
    return objective(outputs, batch(labels, weight))["loss"].mean()


def test_it_is_the_log_loss_of_scikit_learn():
    logits, labels, weight = [2.0, -1.0, 0.5, -3.0], [1, 0, 0, 1], [1, 2, 0.5, 1]
    expected = log_loss(labels, 1 / (1 + np.exp(-np.array(logits))), sample_weight=weight)
    np.testing.assert_allclose(loss(bce(), logits, labels, weight), expected, rtol=1e-6)


@pytest.mark.parametrize("logit", [100.0, -100.0, 1e4, -1e4])
def test_extreme_logits_give_finite_losses_and_gradients(logit):
    for label in (0, 1):
        value, gradient = jax.value_and_grad(lambda x, label=label: loss(bce(), x, [label]))(
            jnp.array([logit])
        )
        wrong = (logit > 0) != bool(label)
        assert value == pytest.approx(abs(logit) if wrong else 0.0)
        assert abs(gradient[0]) == pytest.approx(1.0 if wrong else 0.0)


def test_pos_weight_multiplies_the_loss_of_positives():
    plain = loss(bce(), [0.3], [1])
    assert loss(bce(pos_weight=3.0), [0.3], [1]) == pytest.approx(3 * plain)
    assert loss(bce(pos_weight=3.0), [0.3], [0]) == pytest.approx(loss(bce(), [0.3], [0]))


def test_label_smoothing_moves_targets_towards_one_half():
    half = 0.5 * (loss(bce(), [0.7], [1]) + loss(bce(), [0.7], [0]))
    assert loss(bce(label_smoothing=1.0), [0.7], [1]) == pytest.approx(half)


@pytest.mark.parametrize("garbage", [np.inf, -np.inf, np.nan, 3e38])
def test_examples_of_weight_0_count_for_nothing_whatever_they_hold(garbage):
    gradient = jax.grad(lambda x: loss(bce(), x, [1, 0], [1, 0]))(jnp.array([0.5, garbage]))
    assert np.isfinite(gradient[0]) and gradient[0] != 0 and gradient[1] == 0
    outputs = Outputs({"match": jnp.array([0.5, garbage])})
    found = bce()(outputs, batch([1, 0], [1, 0]))
    assert found["loss"].count == 1 and found["accuracy"].mean() == 1
    assert found["loss"].mean() == pytest.approx(np.log1p(np.exp(-0.5)))


def test_several_labels_are_averaged():
    logits, labels = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[1, 0], [0, 1]])
    single = [loss(bce(), [x], [y]) for x, y in zip(logits.flat, labels.flat, strict=True)]
    assert loss(bce(), logits, labels) == pytest.approx(np.mean(single))


def test_logits_and_labels_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"'match' gives \(2, 3\) and target 'match' is \(2,\)"):
        loss(bce(), np.zeros((2, 3)), [0, 1])


def test_predictions_are_truth_values_with_their_probability():
    outputs = Outputs({"match": np.array([0.5, 1e4, -1e4])})
    first, *rest = bce().predictions(outputs, None)
    assert first == {"value": True, "probability": pytest.approx(1 / (1 + np.exp(-0.5)))}
    assert [one["value"] for one in rest] == [True, False]
    several = Outputs({"match": np.array([[1.0, -1.0, 2.0]])})
    (found,) = bce().predictions(several, MultiLabel(("a", "b", "c")))
    assert found["value"] == ["a", "c"] and list(found["probabilities"]) == ["a", "b", "c"]


def test_labels_that_are_none_are_counted_as_invalid_and_as_nothing_else():
    given = batch([1, -1, 3, 0])
    outputs = Outputs({"match": jnp.array([2.0, 1.0, 1.0, -2.0])})
    found = bce()(outputs, given)
    assert found["invalid"].total == 2 and found["loss"].count == 2
    records = {name: np.asarray(x) for name, x in bce().record(outputs, given).items()}
    assert records["weight"].tolist() == [1, 0, 0, 1]
    assert bce().metrics(records, None)["accuracy"] == 1
    assert bce().metrics({**records, "weight": np.zeros(4)}, None) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"pos_weight": 0.0},
        {"label_smoothing": 3.0},
        {"weight": -1.0},
        {"schedule": ((5, 1.0), (5, 0.0))},
        {"schedule": ((0, -1.0),)},
    ],
)
def test_impossible_settings_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        bce(**wrong)
