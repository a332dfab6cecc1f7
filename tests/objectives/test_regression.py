import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from mmjax.data.targets import Number
from mmjax.objectives import AbsoluteError, Huber, SquaredError
from mmjax.types import Batch, Outputs
from tests.samples import target

OUTPUT = np.array([0.5, -1.0, 3.0, 0.0, 2.0], np.float32)
TRUTH = np.array([0.0, 1.0, 2.5, -4.0, 2.0], np.float32)
WEIGHT = np.array([1, 2, 0.5, 1, 0], np.float32)
NAMES = {"output": "y", "target": "t"}
KINDS = [SquaredError, AbsoluteError, Huber]


def batch(truth=TRUTH, weight=WEIGHT):
    weight = np.asarray(weight, np.float32)
    return Batch({}, {"t": target(np.asarray(truth, np.float32))}, weight, np.arange(len(weight)))


def measured(objective, output=OUTPUT, given=None):
    return objective(Outputs({"y": jnp.asarray(output)}), batch() if given is None else given)


def recorded(objective, output, given):
    found = objective.record(Outputs({"y": jnp.asarray(output, jnp.float32)}), given)
    return {name: np.asarray(x) for name, x in found.items()}


@pytest.mark.parametrize(
    "objective, each",
    [
        (SquaredError(**NAMES), (OUTPUT - TRUTH) ** 2),
        (AbsoluteError(**NAMES), np.abs(OUTPUT - TRUTH)),
        *(
            (Huber(**NAMES, delta=delta), np.asarray(optax.huber_loss(OUTPUT, TRUTH, delta=delta)))
            for delta in (0.25, 1.0, 100.0)
        ),
    ],
)
def test_losses_are_their_formulas(objective, each):
    found = measured(objective)
    np.testing.assert_allclose(found["loss"].mean(), np.average(each, weights=WEIGHT), rtol=1e-6)
    size = np.average(np.abs(OUTPUT - TRUTH), weights=WEIGHT)
    np.testing.assert_allclose(found["absolute_error"].mean(), size, rtol=1e-6)
    assert found["invalid"].total == 0 and found["loss"].count == WEIGHT.sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("garbage", [np.inf, -np.inf, np.nan, 3e38])
def test_what_does_not_count_has_no_gradient_whatever_it_holds(kind, garbage):
    output, objective = OUTPUT.copy(), kind(**NAMES)
    output[4] = garbage
    gradient = jax.grad(lambda x: measured(objective, x)["loss"].mean())(jnp.asarray(output))
    assert np.all(np.isfinite(gradient)) and gradient[4] == 0 and gradient[0] != 0


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_are_none_are_counted_as_invalid_and_as_nothing_else(kind):
    objective = kind(**NAMES)
    given = batch([0.0, np.nan, 2.5, np.inf, -np.inf], np.ones(5))
    found = measured(objective, given=given)
    assert found["invalid"].total == 3 and found["loss"].count == 2
    expected = measured(objective, OUTPUT[[0, 2]], batch(TRUTH[[0, 2]], np.ones(2)))
    np.testing.assert_allclose(found["loss"].mean(), expected["loss"].mean(), rtol=1e-6)
    records = recorded(objective, OUTPUT, given)
    assert records["weight"].tolist() == [1, 0, 1, 0, 0]
    assert records["target"].tolist() == [0, 0, 2.5, 0, 0]
    assert objective.metrics(records, None)["mae"] == 0.5
    assert objective.metrics({**records, "weight": np.zeros(5)}, None) == {}
    gradient = jax.grad(lambda x: measured(objective, x, given)["loss"].mean())(OUTPUT)
    assert np.all(np.isfinite(gradient)) and not np.any(np.asarray(gradient)[[1, 3, 4]])


def test_metrics_are_in_the_unit_of_the_user():
    kind = Number(170.0, 10.0, "cm")
    truth = np.array([160.0, 175.0, 181.5, 170.0])
    given = Batch({}, {"t": kind(truth)}, np.ones(4, np.float32), np.arange(4))
    predicted = np.array([162.0, 175.0, 180.0, 171.0])
    records = recorded(SquaredError(**NAMES), (predicted - 170) / 10, given)
    found = SquaredError(**NAMES).metrics(records, kind)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, predicted))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truth, predicted))
    assert found["r2"] == pytest.approx(r2_score(truth, predicted))


def test_predictions_are_numbers_with_their_unit():
    outputs = Outputs({"y": np.array([0.0, -0.5], np.float32)})
    found = AbsoluteError(**NAMES).predictions(outputs, Number(170.0, 10.0, "cm"))
    assert found == [{"value": 170.0, "unit": "cm"}, {"value": 165.0, "unit": "cm"}]
    assert json.loads(json.dumps(found)) == found
    assert AbsoluteError(**NAMES).predictions(outputs, Number(0.0, 2.0)) == [
        {"value": 0.0}, {"value": -1.0},
    ]  # fmt: skip
    assert AbsoluteError(**NAMES).predictions(outputs, None)[1] == {"value": -0.5}


def test_a_score_of_exactly_0_comes_back_as_0():
    scores = np.array([0.0, 0.0, -1.5, 2.25, 3.0, 1 / 3, -0.2])
    kind = Number.fit(scores)
    given = Batch({}, {"t": kind(scores)}, np.ones(7, np.float32), np.arange(7))
    objective = AbsoluteError(**NAMES, sentiment=True)
    # A model that calls all of them positive: of those that are not 0 three are, two are not.
    found = objective.metrics(recorded(objective, kind(np.ones(7)).values, given), kind)
    assert found["acc2_positive"] == pytest.approx(3 / 5)
    assert found["acc2_nonnegative"] == pytest.approx(5 / 7)


@pytest.mark.parametrize("mean, std", [(1e6, 1.0), (-1e6, 1e-3), (0.0, 1e-305), (1e9, 1e9)])
def test_what_is_scaled_back_keeps_the_digits_of_float32(mean, std):
    kind = Number(mean, std)
    truth = mean + std * np.array([0.25, -1.5, 3.125])
    given = Batch({}, {"t": kind(truth)}, np.ones(3, np.float32), np.arange(3))
    objective = AbsoluteError(**NAMES)
    shifted = kind(truth).values + np.float32(0.125)
    found = objective.metrics(recorded(objective, shifted, given), kind)
    assert found["mae"] == pytest.approx(0.125 * std, rel=1e-4)


def test_other_shapes_are_refused():
    for shape in ((5, 1), (5, 2)):
        with pytest.raises(ValueError, match="they must have the same shape"):
            measured(SquaredError(**NAMES), np.zeros(shape, np.float32))


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan")])
def test_an_impossible_delta_is_refused(delta):
    with pytest.raises(ValueError, match="delta: expected more than 0"):
        Huber(**NAMES, delta=delta)
