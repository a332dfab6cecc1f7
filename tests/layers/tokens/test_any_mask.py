"""Whatever reads tokens, with any mask that hypothesis comes up with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mmjax.layers.alignment.ctc import ctc_weights
from mmjax.layers.alignment.resampling import resample
from mmjax.layers.alignment.sinkhorn import sinkhorn
from mmjax.layers.attention.attention import attend
from mmjax.layers.recurrent.gru import gru
from mmjax.layers.recurrent.lstm import lstm
from mmjax.layers.tokens.masking import clear, masked_softmax
from mmjax.layers.tokens.pooling import masked_max, masked_mean
from tests.drawn import drawn

BATCH, TOKEN, DIM, LONGER = 3, 4, 4, 7


def weights(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


LSTM = {"input_kernel": weights(0, DIM, 8), "recurrent_kernel": weights(1, 2, 8)}
GRU = {"input_kernel": weights(2, DIM, 6), "recurrent_kernel": weights(3, 2, 6)}


def readings(values, mask):
    """Whatever reads tokens: (vectors by name, tokens by name)."""
    shown = clear(values, mask)
    look = jnp.broadcast_to(mask[:, None], (*mask.shape, mask.shape[1]))
    states, last = lstm(shown, mask, **LSTM, bias=weights(4, 8))
    gates = {"bias": weights(5, 6), "candidate_bias": weights(6, 2)}
    back, first = gru(shown, mask, **GRU, **gates, reverse=True)
    plan = sinkhorn(shown, mask, jnp.ones((len(mask), DIM), bool), temperature=0.5, iterations=4)
    by_head = shown[:, :, None]
    vectors = {
        "mean": masked_mean(values, mask),
        "max": masked_max(values, mask),
        "lstm": last,
        "gru": first,
        "resample": resample(values, mask, 3),
    }
    tokens = {
        "softmax": clear(masked_softmax(values[:, :, 0], mask), mask),
        "attend": clear(attend(by_head, by_head, by_head, look)[:, :, 0], mask),
        "states": clear(states, mask),
        "states backward": clear(back, mask),
        "ctc": ctc_weights(shown, mask),
        "sinkhorn": plan,
    }
    return vectors, tokens


@jax.jit
def read(values, mask):
    """The readings, and the gradient of all of them together."""

    def total(values):
        found = readings(values, mask)
        return sum(jnp.sum(x**2) + jnp.sum(x) for x in jax.tree.leaves(found)), found

    gradient, found = jax.grad(total, has_aux=True)(values)
    return found, gradient


numbers = st.floats(-100, 100, width=32, allow_subnormal=False)
sequences = st.tuples(
    arrays.arrays(np.float32, (BATCH, TOKEN, DIM), elements=numbers),
    arrays.arrays(bool, (BATCH, TOKEN)),
)


def equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def close(left, right, tolerance=1e-5):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), left, right
    )


@drawn(40)
@given(sequences, st.sampled_from([0.0, -1e30, 3e38, np.inf, np.nan]))
def test_what_is_under_any_mask_shows_nowhere_and_gets_no_gradient(sequence, garbage):
    values, mask = sequence
    found, gradient = read(values, mask)
    equal((found, gradient), read(np.where(mask[:, :, None], values, np.float32(garbage)), mask))
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((found, gradient)))
    assert not np.any(gradient[~mask])
    for name, vector in found[0].items():
        assert not np.any(vector[~mask.any(axis=1)]), name


@drawn(25)
@given(sequences, st.permutations(range(BATCH)))
def test_examples_in_another_order_have_the_same_results_in_that_order(sequence, order):
    values, mask = sequence
    found = read(values, mask)
    close(jax.tree.map(lambda x: x[np.array(order)], found), read(values[order], mask[order]))


@drawn(25)
@given(sequences, st.lists(st.integers(0, TOKEN), min_size=3, max_size=3), numbers)
def test_padding_anywhere_changes_nothing(sequence, places, filler):
    """Of the longer sequence the tokens that were there before are the same."""
    values, mask = sequence
    (vectors, tokens), _ = read(values, mask)
    longer = np.insert(values, places, np.float32(filler), axis=1)
    shown = np.insert(mask, places, False, axis=1)
    old = np.insert(np.ones(TOKEN, bool), places, False)
    (long_vectors, long_tokens), _ = read(longer, shown)
    close(vectors, long_vectors, 1e-4)
    close(tokens, {name: x[:, old] for name, x in long_tokens.items()}, 1e-4)


@drawn(40)
@given(sequences)
def test_masked_results_are_those_of_the_tokens_that_are_there(sequence):
    values, mask = sequence
    (vectors, tokens), _ = read(values, mask)
    for i, there in enumerate(mask):
        shown = values[i, there].astype(np.float64)
        if not len(shown):
            continue
        close(vectors["mean"][i], shown.mean(axis=0), 1e-4)
        close(vectors["max"][i], shown.max(axis=0))
        close(tokens["softmax"][i][there], scipy.special.softmax(shown[:, 0]), 1e-4)
        scores = scipy.special.softmax(shown @ shown.T / np.sqrt(DIM), axis=1)
        close(tokens["attend"][i][there], scores @ shown, 1e-2)


def test_sums_and_choices_over_nothing_have_defined_values_and_gradients():
    values, mask = jnp.full((2, 3, 4), 1e4), jnp.zeros((2, 3), bool)

    def of(pool):
        return jax.jit(jax.value_and_grad(lambda x: jnp.sum(pool(x, mask[:, : x.shape[1]]) ** 2)))

    for pool in (masked_mean, masked_max):
        for value, gradient in (of(pool)(values), of(pool)(values[:, :0])):
            assert value == 0 and not np.any(gradient)
    value, gradient = of(masked_softmax)(values[:, :, 0])
    assert value == pytest.approx(2 / 3) and not np.any(gradient)
