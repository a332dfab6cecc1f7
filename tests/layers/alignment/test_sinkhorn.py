import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mmjax.layers.alignment.sinkhorn import sinkhorn

transport = jax.jit(sinkhorn, static_argnames=("temperature", "iterations"))


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def plan_between(x, y, x_mask, y_mask, temperature=0.05):
    scores = jnp.einsum("btd,bud->btu", jnp.asarray(x), jnp.asarray(y)) / x.shape[-1]
    return np.asarray(
        transport(
            scores, jnp.asarray(x_mask), jnp.asarray(y_mask), temperature=temperature, iterations=50
        )
    )


def test_its_sums_are_uniform_over_what_is_there_and_zero_elsewhere():
    rows = jnp.array([[True] * 4, [False, True, False, True], [True] * 4, [False] * 4])
    columns = jnp.array([[True] * 3, [True, False, True], [False] * 3, [True] * 3])
    plan = transport(jnp.asarray(normal(0, 4, 4, 3)), rows, columns, temperature=0.5, iterations=50)
    expected_rows = [[0.25] * 4, [0, 0.5, 0, 0.5], [0] * 4, [0] * 4]
    expected_columns = [[1 / 3] * 3, [0.5, 0, 0.5], [0] * 3, [0] * 3]
    np.testing.assert_allclose(plan.sum(2), expected_rows, atol=1e-4)
    np.testing.assert_allclose(plan.sum(1), expected_columns, atol=1e-6)
    hidden = ~(np.asarray(rows)[:, :, None] & np.asarray(columns)[:, None, :])
    assert not np.any(plan[hidden])


def test_it_is_the_plan_with_the_highest_score_and_entropy():
    """It is exp((scores + u + v) / temperature), whose log ratios are those of the scores."""
    scores, everything = jnp.asarray(normal(1, 1, 3, 3)), jnp.ones((1, 3), bool)
    plan = transport(scores, everything, everything, temperature=0.7, iterations=100)
    log = 0.7 * np.log(plan[0])

    def ratios(x):
        return x[1:, 1:] - x[:1, 1:] - x[1:, :1] + x[:1, :1]

    np.testing.assert_allclose(ratios(log), ratios(scores[0]), atol=1e-4)
    np.testing.assert_allclose(plan.sum((1, 2)), 1.0, atol=1e-5)


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_a_planted_shift_is_recovered(shift):
    """What `x` says at t, `y` says at t + shift; both with noise of a tenth, and with padding."""
    count, padding = 10, 2
    heard = normal(2, 1, count + shift, 64)
    x = np.full((1, count + padding, 64), 1e30, np.float32)
    y = np.full((1, padding + count, 64), 1e30, np.float32)
    x[:, :count] = heard[:, shift:] + 0.1 * normal(3, 1, count, 64)
    y[:, padding:] = heard[:, :count] + 0.1 * normal(4, 1, count, 64)
    time = np.arange(count + padding)
    plan = plan_between(x, y, time[None] < count, time[None] >= padding)
    both = np.arange(count - shift)
    np.testing.assert_array_equal(plan[0].argmax(1)[both], padding + shift + both)
    assert np.all(plan[0, both, padding + shift + both] > 0.9 / count)


def test_a_planted_rate_is_recovered():
    """Every token of `x` stands in `y` twice: its share goes to these two."""
    x = normal(5, 1, 6, 32)
    y = np.repeat(x, 2, axis=1) + 0.1 * normal(6, 1, 12, 32)
    plan = plan_between(x, y, np.ones((1, 6), bool), np.ones((1, 12), bool))[0]
    np.testing.assert_array_equal(plan.argmax(0), np.arange(12) // 2)
    shares = plan.reshape(6, 6, 2).sum(2)
    np.testing.assert_allclose(np.diag(shares), np.full(6, 1 / 6), atol=0.01)


def test_its_gradient_is_that_of_finite_differences():
    rows, columns = jnp.array([[True, True, False]]), jnp.ones((1, 4), bool)

    @jax.jit
    def share(scores):
        return sinkhorn(scores, rows, columns, temperature=1.0, iterations=3)[:, :, :2].sum(2)

    check_grads(share, (jnp.asarray(normal(9, 1, 3, 4)),), 1, ["rev"], atol=1e-3, rtol=1e-2)


def test_garbage_under_the_masks_changes_no_bit_and_gets_no_gradient():
    rows = jnp.array([[True, False, True], [False] * 3, [True] * 3])
    columns = jnp.array([[False, True, True, True], [True] * 4, [False] * 4])
    both = rows[:, :, None] & columns[:, None, :]
    weights = jnp.asarray(normal(7, 3, 3, 4))

    @jax.jit
    @jax.value_and_grad
    def loss(scores):
        plan = sinkhorn(scores, rows, columns, temperature=0.01, iterations=3)
        return jnp.sum(weights * plan**2)

    scores = jnp.asarray(normal(8, 3, 3, 4))
    value, gradient = loss(scores)
    garbage_value, garbage_gradient = loss(jnp.where(both, scores, 1e30))
    assert value == garbage_value and np.all(np.isfinite(gradient)) and np.any(gradient[0])
    np.testing.assert_array_equal(gradient, garbage_gradient)
    assert not np.any(gradient[~np.asarray(both)])


@pytest.mark.parametrize("shape", [(2, 0, 3), (2, 3, 0)])
def test_a_side_without_any_length_gives_an_empty_plan(shape):
    def total(scores):
        masks = (jnp.ones(shape[:2], bool), jnp.ones((shape[0], shape[2]), bool))
        return jnp.sum(sinkhorn(scores, *masks, temperature=1.0, iterations=2))

    assert jax.grad(total)(jnp.zeros(shape)).shape == shape


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"temperature": 0.0}, "temperature must be greater than 0, got 0.0"),
        ({"temperature": float("nan")}, "temperature must be greater than 0, got nan"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
    ],
)
def test_fields_out_of_range_are_refused(wrong, message):
    everything = jnp.ones((1, 2), bool)
    fields = {"temperature": 1.0, "iterations": 1} | wrong
    with pytest.raises(ValueError, match=message):
        sinkhorn(jnp.zeros((1, 2, 2)), everything, everything, **fields)
