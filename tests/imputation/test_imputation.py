"""What stands in for a missing modality."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.imputation import IMPUTATIONS, Generated, Learned, Mask, TrainingMean
from mmjax.types import Tokens
from tests.samples import garbage, tokens


def initialised(module, given):
    return jax.jit(functools.partial(module.init, train=False))(jax.random.key(0), given)


@pytest.mark.parametrize("name", IMPUTATIONS)
def test_what_is_there_stays_and_what_is_under_the_mask_is_not_read(name):
    module, given = IMPUTATIONS[name](), tokens(("a", "b", "c"))
    variables = initialised(module, given)
    other = {n: Tokens(garbage(t.values, t.mask), t.mask) for n, t in given.items()}
    apply = jax.jit(lambda tokens: module.apply(variables, tokens, train=False))
    for n, found in apply(given).items():
        there = np.asarray(given[n].mask)
        np.testing.assert_array_equal(found.values[there], given[n].values[there])
        assert np.all(np.asarray(found.mask)[there])
        again = apply(other)[n]
        np.testing.assert_array_equal(found.mask, again.mask)
        np.testing.assert_array_equal(found.values[found.mask], again.values[again.mask])


@pytest.mark.parametrize("name", IMPUTATIONS)
def test_a_stand_in_is_one_token_in_the_examples_that_have_none(name):
    module, given = IMPUTATIONS[name](), tokens(("a", "b", "c"), batch=16)
    found = module.apply(initialised(module, given), given, train=False)
    anything = np.any([t.present() for t in given.values()], axis=0)
    for n, after in found.items():
        before = np.asarray(given[n].present())
        possible = {"mask": before, "generated": anything}.get(name, np.ones_like(before))
        np.testing.assert_array_equal(after.present(), possible)
        added = np.sum(after.mask, axis=1) - np.sum(given[n].mask, axis=1)
        np.testing.assert_array_equal(added, (possible & ~before).astype(int))


def test_masking_is_the_identity():
    given = tokens(("a", "b"))
    assert Mask().apply({}, given, train=True) == given


def test_a_learned_stand_in_gets_its_gradient_from_the_examples_that_miss_it():
    given = tokens(("a", "b"))
    variables = initialised(Learned(), given)

    def loss(params, example):
        found = Learned().apply({"params": params}, given, train=True)["b"]
        return jnp.sum(jnp.where(found.mask[example][:, None], found.values[example], 0.0))

    there = np.asarray(given["b"].present())
    assert there[0] and not there[3]
    assert not np.any(jax.grad(loss)(variables["params"], 0)["stand_in_b"])
    np.testing.assert_array_equal(jax.grad(loss)(variables["params"], 3)["stand_in_b"], np.ones(8))


def test_the_training_mean_comes_close_to_the_mean_of_what_was_seen():
    module = TrainingMean(decay=0.9)
    given = tokens(("a", "b"), batch=64)
    variables = initialised(module, given)
    stand_in = module.apply(variables, given, train=False)["b"].values[3, 0]
    np.testing.assert_array_equal(stand_in, np.zeros(8))

    @jax.jit
    def train(variables, tokens):
        return module.apply(variables, tokens, train=True, mutable=["statistics"])[1]

    seen = []
    for seed in range(60):
        batch = tokens(("a", "b"), seed=seed, batch=64)
        shifted = {n: Tokens(t.values + 3.0, t.mask) for n, t in batch.items()}
        variables = train(variables, shifted)
        mask = np.asarray(shifted["b"].mask)
        rows = [
            np.mean(v[m], axis=0) for v, m in zip(shifted["b"].values, mask, strict=True) if m.any()
        ]
        seen.append(np.mean(rows, axis=0))
    found = module.apply(variables, given, train=False)["b"].values[3, 0]
    # The mean of the last 1 / (1 - decay) = 10 batches of 64: a standard error of about 0.04.
    np.testing.assert_allclose(found, np.mean(seen[-30:], axis=0), atol=0.15)
    np.testing.assert_allclose(found, 3.0, atol=0.2)


def test_an_example_does_not_see_the_others_of_its_batch_in_the_training_mean():
    module, given = TrainingMean(), tokens(("a", "b"), batch=8)
    variables = initialised(module, given)
    variables = module.apply(variables, given, train=True, mutable=["statistics"])[1]
    apply = functools.partial(module.apply, variables, train=True, mutable=["statistics"])
    changed = {n: Tokens(t.values.at[0].add(5.0), t.mask) for n, t in given.items()}
    for n, found in apply(given)[0].items():
        np.testing.assert_array_equal(found.values[1:], apply(changed)[0][n].values[1:])


def test_the_generator_learns_to_rebuild_a_modality_from_another():
    """b = W a exactly: the reconstruction loss falls towards 0."""
    import optax

    weight = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32) / 3
    module = Generated(hidden=(64,))

    def batch(seed):
        a = jax.random.normal(jax.random.key(seed), (64, 1, 8))
        there = jnp.ones((64, 1), bool)
        return {"a": Tokens(a, there), "b": Tokens(a @ weight, there)}

    variables = initialised(module, batch(0))
    tx = optax.adam(3e-3)

    @jax.jit
    def step(params, moments, seed):
        def loss(params):
            _, found = module.apply({"params": params}, batch(seed), train=True, mutable="losses")
            return jnp.mean(found["losses"]["reconstruction_b"][0])

        value, gradient = jax.value_and_grad(loss)(params)
        updates, moments = tx.update(gradient, moments)
        return optax.apply_updates(params, updates), moments, value

    params, losses = variables["params"], []
    moments = tx.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for seed in range(400):
            params, moments, value = step(params, moments, seed)
            losses.append(float(value))
    assert np.mean(losses[-20:]) < 0.1 * losses[0]
    gone = batch(1000)
    hidden = {"a": gone["a"], "b": Tokens(gone["b"].values, jnp.zeros((64, 1), bool))}
    rebuilt = module.apply({"params": params}, hidden, train=False)["b"].values
    error = np.mean((rebuilt - gone["b"].values) ** 2) / np.mean(gone["b"].values ** 2)
    assert error < 0.15


def test_a_loss_counts_only_the_examples_that_have_both_sides():
    given = tokens(("a", "b"), batch=16)
    module = Generated()
    variables = initialised(module, given)
    assert "losses" not in variables
    _, found = module.apply(variables, given, train=True, mutable=["losses"])
    loss, counts = found["losses"]["reconstruction_b"]
    both = np.asarray(given["a"].present() & given["b"].present())
    np.testing.assert_array_equal(counts, both.astype(np.float32))
    assert np.all(loss[~both] == 0) and np.all(loss[both] > 0)


def test_from_nothing_nothing_is_generated():
    given = tokens(("a",))
    found = Generated().apply({}, given, train=True)
    np.testing.assert_array_equal(found["a"].mask, given["a"].mask)


def test_the_reconstruction_trains_what_generates_and_not_what_it_aims_at():
    given = tokens(("a", "b"), batch=16)
    module = Generated(hidden=(4,), weight=3.0)
    variables = initialised(module, given)

    def loss(values, weight):
        tokens = {n: Tokens(values[n], given[n].mask) for n in given}
        scaled = Generated(hidden=(4,), weight=weight)
        _, found = scaled.apply(variables, tokens, train=True, mutable=["losses"])
        return jnp.sum(found["losses"]["reconstruction_b"][0])

    values = {n: t.values for n, t in given.items()}
    gradient = jax.grad(loss)(values, 1.0)
    assert np.any(gradient["a"]) and not np.any(gradient["b"])
    np.testing.assert_allclose(loss(values, 3.0), 3.0 * loss(values, 1.0), rtol=1e-6)


def test_the_generator_is_told_which_of_the_others_are_there():
    """A modality whose mean token is zero is not one that is missing."""
    a = Tokens(jnp.zeros((2, 1, 8)), jnp.array([[True], [False]]))
    b = Tokens(jnp.ones((2, 1, 8)), jnp.ones((2, 1), bool))
    c = Tokens(jnp.zeros((2, 1, 8)), jnp.zeros((2, 1), bool))
    given = {"a": a, "b": b, "c": c}
    found = Generated().apply(initialised(Generated(), given), given, train=False)["c"].values
    assert np.any(found[0] != found[1])


@pytest.mark.parametrize("name", IMPUTATIONS)
def test_a_stand_in_has_the_type_of_what_it_stands_for(name):
    given = {
        n: Tokens(t.values.astype(jnp.bfloat16), t.mask) for n, t in tokens(("a", "b")).items()
    }
    module = IMPUTATIONS[name]()
    with jax.numpy_dtype_promotion("standard"):
        found = module.apply(initialised(module, given), given, train=False)
    assert {t.values.dtype for t in found.values()} == {jnp.dtype(jnp.bfloat16)}
