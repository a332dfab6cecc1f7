import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.alignment.resampling import resample, resample_at

sampled = jax.jit(resample, static_argnums=2)
sampled_at = jax.jit(resample_at)


@functools.cache
def signal(points):
    """[1, points, 2]: a curve over one common span of time, sampled at so many points."""
    time = np.linspace(0, 1, points)
    return jnp.asarray(np.stack([np.sin(5 * time), time**2], -1)[None], jnp.float32)


@pytest.mark.parametrize("steps", [1, 3, 5, 9])
def test_it_is_linear_interpolation_from_the_first_token_to_the_last(steps):
    x = signal(5)
    points = np.linspace(0, 4, steps)
    expected = [np.interp(points, np.arange(5), x[0, :, d]) for d in range(2)]
    found = sampled(x, jnp.ones((1, 5), bool), steps)
    np.testing.assert_allclose(found[0], np.stack(expected, -1), atol=1e-6)


def test_as_many_steps_as_tokens_change_no_bit_wherever_the_padding_stands():
    x = signal(7)
    mask = jnp.array([[True, True, False, True] + [False] * 3 + [True] * 4])
    spread = jnp.full((1, 11, 2), 1e30).at[:, np.flatnonzero(mask[0])].set(x)
    np.testing.assert_array_equal(sampled(spread, mask, 7), x)


def test_a_planted_rate_is_recovered():
    """The same curve at twice the rate comes back: exactly downwards, to its curvature upwards."""
    slow, fast = signal(8), signal(15)
    np.testing.assert_allclose(sampled(fast, jnp.ones((1, 15), bool), 8), slow, atol=1e-6)
    up = sampled(slow, jnp.ones((1, 8), bool), 15)
    step, curvature = 1 / 7, 25
    np.testing.assert_allclose(up, fast, atol=curvature * step**2 / 8)
    np.testing.assert_allclose(up[:, ::2], slow, atol=1e-6)


def test_one_token_is_repeated_and_none_gives_zeros():
    mask = jnp.array([[False, True, False], [False] * 3])
    found = sampled(jnp.broadcast_to(signal(3), (2, 3, 2)), mask, 4)
    np.testing.assert_array_equal(found[0], np.repeat(signal(3)[0, 1:2], 4, axis=0))
    np.testing.assert_array_equal(found[1], np.zeros((4, 2)))
    assert not np.any(sampled(jnp.ones((2, 0, 3)), jnp.ones((2, 0), bool), 4))


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        resample(signal(3), jnp.ones((1, 3), bool), 0)


def test_time_stamps_say_where_a_token_stands():
    """Stamps 0, 1, 4 and 4; padding has the stamp of another token."""
    values = jnp.array([[[0.0], [10.0], [1e30], [40.0], [60.0]]] * 2)
    mask = jnp.array([[True, True, False, True, True], [False] * 5])
    times = jnp.array([[0.0, 1.0, 1.0, 4.0, 4.0]] * 2)
    points = jnp.array([-1.0, 0.0, 0.5, 1.0, 2.5, 4.0, 9.0])
    found = sampled_at(values, mask, times, points)
    # Halfway between 10 at 1 and the mean 50 at 4: 30.
    np.testing.assert_allclose(found[0, :, 0], [0, 0, 5, 10, 30, 50, 50], atol=1e-5)
    assert not np.any(found[1])


def test_by_time_the_order_of_the_tokens_does_not_matter():
    rng = np.random.default_rng(0)
    values, times = rng.normal(size=(1, 9, 2)), rng.uniform(0, 1, (1, 9))
    order, points = rng.permutation(9), np.linspace(-0.1, 1.1, 20)
    mask = jnp.arange(9)[None] < 7
    array = lambda x: jnp.asarray(x, jnp.float32)  # noqa: E731
    found = sampled_at(array(values), mask, array(times), array(points))
    turned = sampled_at(
        array(values[:, order]), mask[:, order], array(times[:, order]), array(points)
    )
    np.testing.assert_allclose(turned, found, atol=1e-5)
    by_time = np.argsort(times[0, :7])
    expected = [np.interp(points, times[0, by_time], values[0, by_time, d]) for d in range(2)]
    np.testing.assert_allclose(found[0], np.stack(expected, -1), atol=1e-5)


def test_by_time_padding_has_no_gradient_and_no_weight():
    mask = jnp.array([[True, False, True]])
    times, points = jnp.array([[0.0, jnp.nan, 1.0]]), jnp.array([0.0, 0.4])

    def total(values, times):
        return jnp.sum(resample_at(values, mask, times, points))

    by_value, by_time = jax.jit(jax.grad(total, (0, 1)))(jnp.arange(3.0)[None, :, None], times)
    np.testing.assert_allclose(by_value[0, :, 0], [1.6, 0, 0.4], atol=1e-6)
    assert not np.any(by_time)
