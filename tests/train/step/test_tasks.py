"""Several objectives on one trunk: their weights, and the same update on every device."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.balance import BALANCES, GradNorm, PcGrad, Uncertainty, WeightAverage
from mmjax.devices import parallel
from mmjax.heads import Classes, Logit, Number
from mmjax.models.train_state import create_state
from mmjax.objectives import BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError
from mmjax.optim import Sgd
from mmjax.train.step import tasks
from mmjax.train.step.gradient import accumulated
from mmjax.train.step.step import train_step
from mmjax.types import MetricName
from tests.samples import target
from tests.train.step.test_step import batch, close, model

pytestmark = pytest.mark.usefixtures("standard_promotion")
HEADS = {
    "digit": Classes(classes=3, hidden=()),
    "ink": Number(hidden=()),
    "match": Logit(hidden=()),
}
TASKS = {
    "digit": SoftmaxCrossEntropy(output="digit", target="digit", weight=0.5),
    "ink": SquaredError(output="ink", target="ink"),
    "match": BinaryCrossEntropy(output="match", target="match"),
}
NETWORK = dataclasses.replace(model(), heads=HEADS)
TX = Sgd(peak_lr=0.2, schedule="constant", warmup=0.0).chain(1)
METHODS = {
    "uncertainty": Uncertainty(rate=0.5),
    "weight_average": WeightAverage(window=1),
    "grad_norm": GradNorm(rate=0.5),
    "pc_grad": PcGrad(),
}


def given(number, ink=None):
    one = batch(number)
    rng = np.random.default_rng(number)
    targets = {
        "digit": target(rng.integers(0, 3, 16).astype(np.int32), np.arange(16) % 4 > 0),
        "ink": target(rng.normal(size=16).astype(np.float32), ink),
    }
    return dataclasses.replace(one, targets={**one.targets, **targets})


def stepped(balance, wrapper="jit", devices=1, parts=1, steps=3, ink=None):
    mesh = parallel.mesh_of(devices)
    start = create_state(NETWORK, TX, given(0), seed=0, balance=lambda: balance.initial(3))
    step = functools.partial(
        train_step, model=NETWORK, objectives=TASKS, tx=TX, balance=balance, rule=accumulated(parts)
    )
    update = parallel.WRAPPERS[wrapper](step, mesh)
    state = parallel.replicate(start, mesh)
    for number in range(steps):
        state, means = update(state, given(number, ink))
    return jax.device_get(state), {str(name): float(mean.mean()) for name, mean in means.items()}


reference = functools.cache(lambda name: stepped(METHODS[name]))


@pytest.mark.parametrize("name", METHODS)
def test_the_update_is_the_same_on_eight_devices_and_in_parts(name):
    expected, means = reference(name)
    for other in (("pmap", 8, 1), ("jit", 8, 2)):
        found, others = stepped(METHODS[name], *other)
        close((found.params, found.balance), (expected.params, expected.balance), 1e-5)
        assert others.keys() == means.keys()


@pytest.mark.parametrize("name", METHODS)
def test_the_weights_of_the_tasks_are_reported_and_are_not_all_one(name):
    _, means = reference(name)
    weights = [means[f"{task}/weight"] for task in TASKS]
    assert min(weights) > 0 and np.ptp(weights) > 1e-3


@pytest.mark.parametrize("name", METHODS)
def test_a_task_that_no_example_of_the_batch_has_changes_nothing_of_its_own(name):
    state, _ = stepped(METHODS[name], steps=1, ink=np.zeros(16, bool))
    before = create_state(NETWORK, TX, given(0), seed=0)
    close(state.params["heads_ink"], before.params["heads_ink"], 0.0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((state.params, state.balance)))
    if name == "uncertainty":
        assert state.balance[1] == 0 and state.balance[0] != 0


def test_every_balance_of_tasks_is_tried():
    carries = {name for name, cls in BALANCES.items() if name not in METHODS}
    assert carries == {"joint", "auxiliary", "blend", "ogm_ge"}


def test_without_conflict_the_gradient_of_pc_grad_is_the_sum():
    products = jnp.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.1], [0.0, 0.1, 3.0]])
    weights = PcGrad().task_weights(None, jnp.zeros(3), products, jax.random.key(0))
    np.testing.assert_array_equal(weights, 1.0)


def test_pc_grad_is_the_published_projection_of_vectors():
    rng = np.random.default_rng(3)
    g = rng.normal(size=(3, 5)).astype(np.float32)
    g[2] = -g[0] + 0.1 * g[2]  # a conflict
    key = jax.random.key(7)
    orders = [jax.random.permutation(k, 3) for k in jax.random.split(key, 3)]
    projected = g.astype(np.float64)
    for i, order in enumerate(orders):
        for j in np.asarray(order):
            dot = projected[i] @ g[j]
            if j != i and dot < 0:
                projected[i] -= dot / (g[j] @ g[j]) * g[j]
    weights = PcGrad().task_weights(None, jnp.zeros(3), jnp.asarray(g @ g.T), key)
    np.testing.assert_allclose(weights @ g, projected.sum(axis=0), atol=1e-5)
    assert np.max(np.abs(projected - g)) > 0.1


@pytest.mark.parametrize("shared", [True, False])
def test_products_of_gradients_leave_out_heads_where_only_shared_parameters_count(shared):
    rng = np.random.default_rng(0)
    trunk, head = (rng.normal(size=(3, *shape)).astype(np.float32) for shape in ((2, 4), (5,)))
    gradients = {"fusion": {"kernel": jnp.asarray(trunk)}, "heads_ink": jnp.asarray(head)}
    rows = trunk[:2].reshape(2, -1)  # the last row is that of what modules add
    expected = rows @ rows.T + (0 if shared else head[:2] @ head[:2].T)
    np.testing.assert_allclose(tasks.products_of(gradients, shared), expected, rtol=1e-5)


def test_uncertainty_settles_where_every_weighted_loss_is_one():
    method, losses = Uncertainty(rate=0.1), jnp.array([0.05, 1.0, 7.0])
    s = method.initial(3)
    for _ in range(200):
        s = method.update(s, losses, jnp.ones(3, bool), None)
    np.testing.assert_allclose(s, np.log(losses), atol=1e-3)


def test_grad_norm_raises_the_weight_of_the_task_that_learns_slowly():
    method = GradNorm(rate=0.01)
    carried = method.initial(2)
    products, seen = jnp.eye(2), jnp.ones(2, bool)
    carried = method.update(carried, jnp.array([1.0, 4.0]), seen, products)
    np.testing.assert_allclose(carried["weights"], 1.0)
    for _ in range(10):  # the first has fallen to half of its loss, the second has not moved
        carried = method.update(carried, jnp.array([0.5, 4.0]), seen, products)
    first, second = carried["weights"]
    assert first < 0.95 and second > 1.05
    np.testing.assert_allclose(first + second, 2.0, rtol=1e-6)


def test_grad_norm_brings_gradients_of_any_size_to_one_norm():
    method = GradNorm(alpha=0.0, rate=0.01)
    carried, products = method.initial(2), jnp.diag(jnp.array([1.0, 16.0]))
    for _ in range(200):
        carried = method.update(carried, jnp.ones(2), jnp.ones(2, bool), products)
    np.testing.assert_allclose(carried["weights"] * jnp.array([1.0, 4.0]), 1.6, rtol=0.05)


def test_weight_average_prefers_the_task_whose_loss_does_not_fall():
    method = WeightAverage(window=2, temperature=1.0)
    carried = method.initial(2)
    key, seen = jax.random.key(0), jnp.ones(2, bool)
    for losses in ([4.0, 1.0], [2.0, 1.0]):
        np.testing.assert_allclose(method.task_weights(carried, jnp.zeros(2), None, key), 1.0)
        carried = method.update(carried, jnp.array(losses), seen, None)
    for losses in ([1.0, 1.0], [0.5, 1.0]):
        carried = method.update(carried, jnp.array(losses), seen, None)
    expected = 2 * np.exp([0.25, 1.0]) / np.sum(np.exp([0.25, 1.0]))
    found = method.task_weights(carried, jnp.zeros(2), None, key)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_weight_has_the_name_of_its_task():
    _, means = reference("uncertainty")
    assert str(MetricName("digit", "weight")) in means and "loss" not in means


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Uncertainty(rate=0.0), "--balance.rate: expected more than 0, got 0.0"),
        (lambda: GradNorm(alpha=-1.0), "--balance.alpha: expected 0 or more, got -1.0"),
        (lambda: WeightAverage(window=0), "--balance.window: expected more than 0, got 0"),
    ],
)
def test_a_field_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
