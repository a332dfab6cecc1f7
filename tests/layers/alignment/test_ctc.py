import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmjax.layers.alignment.ctc import ctc_path_loss, ctc_weights

path_loss, weights_of = jax.jit(ctc_path_loss), jax.jit(ctc_weights)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def spread(logits, places, length):
    """The same tokens at other places, with garbage everywhere else."""
    batch, _, position = logits.shape
    mask = np.zeros((batch, length), bool)
    mask[:, places] = True
    values = 3e38 * np.sign(normal(9, batch, length, position))  # a difference of two overflows
    values[:, places] = logits
    return jnp.asarray(values), jnp.asarray(mask)


def probability_of_all_paths(p, steps):
    """The sum over every labelling that reads 1..steps once repetitions and blanks are dropped."""
    total = 0.0
    for path in itertools.product(range(steps + 1), repeat=len(p)):
        read = [label for label, _ in itertools.groupby(path) if label]
        if read == list(range(1, steps + 1)):
            total += np.prod([p[t, label] for t, label in enumerate(path)])
    return total


def test_the_loss_is_that_of_all_paths_through_the_steps_in_order():
    logits = normal(0, 2, 5, 4)
    loss, counted = path_loss(jnp.asarray(logits), jnp.ones((2, 5), bool))
    p = np.asarray(jax.nn.softmax(logits, axis=-1))
    expected = [-np.log(probability_of_all_paths(p[i], 3)) for i in range(2)]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert np.all(counted)


def test_padding_anywhere_changes_no_bit_and_gets_no_gradient():
    logits = normal(1, 1, 4, 4)
    garbage, mask = spread(logits, [1, 2, 5, 7], 9)
    zeros = jnp.where(mask[:, :, None], garbage, 0.0)
    mixed = jnp.asarray(normal(2, 1, 9, 3))

    @jax.jit
    @jax.value_and_grad
    def both(x):
        return ctc_path_loss(x, mask)[0].sum() + jnp.sum(mixed * ctc_weights(x, mask) ** 2)

    (value, gradient), (other_value, other_gradient) = both(garbage), both(zeros)
    assert value == other_value and np.all(np.any(gradient[mask], axis=-1))
    np.testing.assert_array_equal(gradient, other_gradient)
    assert not np.any(gradient[~np.asarray(mask)]) and np.all(np.isfinite(gradient))
    packed, _ = path_loss(jnp.asarray(logits), jnp.ones((1, 4), bool))
    np.testing.assert_allclose(path_loss(garbage, mask)[0], packed, rtol=1e-6)


def test_fewer_tokens_than_steps_have_no_path_and_are_not_counted():
    mask = jnp.array([[True, False, True, True], [True, False, True, False], [False] * 4])
    logits = jnp.asarray(normal(3, 3, 4, 4))
    loss, counted = path_loss(logits, mask)
    np.testing.assert_array_equal(counted, [True, False, False])
    assert loss[0] > 0 and not np.any(loss[1:])
    gradient = jax.grad(lambda x: path_loss(x, mask)[0].sum())(logits)
    assert np.all(np.isfinite(gradient)) and np.any(gradient[0]) and not np.any(gradient[1:])


@pytest.mark.parametrize("length", [0, 2])
def test_a_length_without_room_for_the_steps_counts_nothing(length):
    logits, mask = jnp.zeros((2, length, 4)), jnp.ones((2, length), bool)
    loss, counted = path_loss(logits, mask)
    assert loss.shape == (2,) and not np.any(loss) and not np.any(counted)
    assert weights_of(logits, mask).shape == (2, length, 3)


def test_weights_are_each_tokens_share_of_a_step():
    logits = normal(4, 1, 3, 4)
    given, mask = spread(logits, [0, 2, 3], 5)
    p = np.asarray(jax.nn.softmax(logits, axis=-1))[0, :, 1:]
    found = weights_of(given, mask)[0]
    np.testing.assert_allclose(found[np.array([0, 2, 3])], p / p.sum(0), rtol=1e-5)
    assert not np.any(found[np.array([1, 4])])
    assert not np.any(weights_of(given, jnp.zeros_like(mask)))


def test_a_step_that_no_token_predicts_is_finite():
    logits = jnp.full((1, 3, 3), -1e4).at[:, :, 0].set(1e4)
    weights = weights_of(logits, jnp.ones((1, 3), bool))
    np.testing.assert_allclose(weights, np.full((1, 3, 2), 1 / 3), rtol=1e-6)
    gradient = jax.grad(lambda x: jnp.sum(weights_of(x, jnp.ones((1, 3), bool)) ** 2))(logits)
    assert np.all(np.isfinite(gradient))


def test_its_loss_puts_the_steps_in_order(standard_promotion):
    """It asks for the order alone: at which tokens, the rest of the training has to say."""
    everything, tx = jnp.ones((4, 8), bool), optax.adam(0.3)

    def update(carry, _):
        logits, opt_state = carry
        gradient = jax.grad(lambda x: ctc_path_loss(x, everything)[0].sum())(logits)
        updates, opt_state = tx.update(gradient, opt_state)
        return (optax.apply_updates(logits, updates), opt_state), None

    start = jnp.asarray(normal(5, 4, 8, 5))
    (logits, _), _ = jax.jit(lambda x: jax.lax.scan(update, (x, tx.init(x)), length=50))(start)
    places = np.argmax(weights_of(logits, everything), axis=1)
    assert np.all(np.diff(places, axis=1) > 0)
    assert np.any(np.diff(np.argmax(weights_of(start, everything), axis=1), axis=1) <= 0)
