import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.convolution.batch_norm import (
    BatchNorm,
    moments_in_one_pass,
    moments_in_two_passes,
)

THERE = np.array([True, False, True, False, True])
START = {"mean": np.array([1.0, 2.0, 3.0], np.float32), "variance": np.full(3, 0.5, np.float32)}
PARAMS = {"scale": np.array([1.0, -2.0, 0.5], np.float32), "bias": np.ones(3, np.float32)}


def images(examples=5, mean=0.0):
    values = np.random.default_rng(examples).normal(mean, 1, (examples, 4, 2, 3))
    return values.astype(np.float32)


@functools.partial(jax.jit, static_argnames="train")
def norm(x, mask, *, train=True):
    """(output, running statistics)."""
    y, after = BatchNorm().apply(
        {"params": PARAMS, "batch_stats": START}, x, mask, train=train, mutable=["batch_stats"]
    )
    return y, after["batch_stats"]


def test_missing_examples_take_no_part():
    x = images()
    garbage = np.where(THERE[:, None, None, None], x, np.float32(1e30))
    y, after = norm(garbage, THERE)
    expected, expected_after = norm(x[THERE], np.ones(3, bool))
    chex.assert_trees_all_close((y[THERE], after), (expected, expected_after), atol=1e-6)


def test_what_is_missing_gets_no_gradient():
    gradient = jax.grad(lambda x: jnp.sum(norm(x, THERE)[0][THERE] ** 3))(images())
    assert not np.any(gradient[~THERE]) and np.all(np.any(gradient[THERE] != 0, axis=(1, 2, 3)))


def test_without_any_example_all_is_finite_and_nothing_is_learned():
    nobody = np.zeros(5, bool)
    y, after = norm(images(), nobody)
    gradient = jax.grad(lambda x: jnp.sum(norm(x, nobody)[0] ** 2))(images())
    assert np.all(np.isfinite(y)) and np.all(np.isfinite(gradient))
    chex.assert_trees_all_equal(after, START)


def test_a_single_value_says_nothing_about_the_variance():
    x = images(1)[:, :1, :1]
    _, after = norm(x, np.ones(1, bool))
    np.testing.assert_array_equal(after["variance"], START["variance"])
    np.testing.assert_allclose(after["mean"], 0.9 * START["mean"] + 0.1 * x[0, 0, 0], rtol=1e-6)


def test_a_variance_that_is_small_beside_the_mean_is_exact():
    x = images(64, mean=3000)
    _, after = norm(x, np.ones(64, bool))
    exact = np.var(x.astype(np.float64), axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(after["variance"], 0.9 * START["variance"] + 0.1 * exact, rtol=1e-4)


def test_outside_training_the_running_statistics_are_used_and_kept():
    x = images()
    y, after = norm(x, THERE, train=False)
    expected = (x - START["mean"]) / np.sqrt(START["variance"] + 1e-5)
    np.testing.assert_allclose(y, expected * PARAMS["scale"] + PARAMS["bias"], rtol=1e-5)
    chex.assert_trees_all_equal(after, START)


def test_initialisation_does_not_look_at_the_data():
    start = jax.jit(functools.partial(BatchNorm().init, train=True))
    variables = start(jax.random.key(0), images(), THERE)
    chex.assert_trees_all_equal(
        variables["batch_stats"], {"mean": jnp.zeros(3), "variance": jnp.ones(3)}
    )


@pytest.mark.parametrize("train", [True, False])
def test_half_precision_goes_through_with_float32_statistics(train):
    x = images()
    y, after = norm(x.astype(jnp.bfloat16), THERE, train=train)
    expected, _ = norm(x, THERE, train=train)
    assert y.dtype == jnp.bfloat16 and after["mean"].dtype == jnp.float32
    np.testing.assert_allclose(y[THERE].astype(np.float32), expected[THERE], atol=0.05, rtol=0.02)


def test_one_pass_has_the_moments_of_two():
    x, pivot = jnp.asarray(images(mean=3.0)), jnp.asarray([3.0, 2.0, 4.0])
    found, expected = (
        moments(x, jnp.asarray(THERE), pivot)
        for moments in (moments_in_one_pass, moments_in_two_passes)
    )
    chex.assert_trees_all_close(found, expected, rtol=1e-5)
    near = moments_in_one_pass(jnp.asarray(images(64, mean=3000)), jnp.ones(64, bool), pivot + 3000)
    far = np.var(images(64, mean=3000).astype(np.float64), axis=(0, 1, 2))
    np.testing.assert_allclose(near.variance, far, rtol=1e-3)
    none = moments_in_one_pass(x, jnp.zeros(5, bool), pivot)
    assert not any(np.any(value) for value in none)
