"""NaN and infinity: found at once, named, and kept out of the state."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.models.train_state import create_state
from mmjax.optim import Adam
from mmjax.train.step import finite
from mmjax.train.step.finite import NonFiniteError, Watch
from mmjax.train.step.step import train_step
from mmjax.types import WeightedMean
from tests.train.step.test_step import OBJECTIVES, batch, close, model

pytestmark = pytest.mark.usefixtures("standard_promotion")
MODEL, TX = model(), Adam(peak_lr=0.1, warmup=0.0).chain(5)
STEP = functools.partial(train_step, model=MODEL, objectives=OBJECTIVES, tx=TX, ema=0.9)


@pytest.fixture(scope="module", params=["jit", "pmap"])
def update(request):
    mesh = parallel.mesh_of(2)
    return parallel.WRAPPERS[request.param](STEP, mesh)


@pytest.fixture(scope="module")
def fresh():
    with jax.numpy_dtype_promotion("standard"):
        state = create_state(MODEL, TX, batch(0), seed=0, ema=0.9)
    return parallel.replicate(state, parallel.mesh_of(2))


def poisoned():
    """A batch in which one picture holds an infinity."""
    given = batch(1)
    image = given.inputs["image"]
    values = image.values.copy()
    values[np.flatnonzero(image.mask)[0], 0, 0, 0] = np.inf
    inputs = {**given.inputs, "image": dataclasses.replace(image, values=values)}
    return dataclasses.replace(given, inputs=inputs)


def test_what_is_not_finite_changes_nothing_but_the_step_and_is_named(update, fresh):
    state, sums = update(fresh, poisoned())
    assert int(state.step) == 1
    close(dataclasses.replace(state, step=fresh.step), fresh, 0.0)
    named = finite.names(fresh.params)[int(sums[finite.NAME].total) - 1]
    assert named.startswith("the gradient of encoders_image/")
    again, sums = update(state, batch(2))
    assert sums[finite.NAME].total == 0 and sums[finite.NAME].count == 1
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), again, state)))


def test_without_the_guard_the_parameters_are_lost():
    step = jax.jit(functools.partial(STEP, axis=None, guard=False))
    state = create_state(MODEL, TX, batch(0), seed=0)
    state, sums = step(state, poisoned())
    assert finite.NAME not in sums
    assert any(bool(jnp.any(jnp.isnan(x))) for x in jax.tree.leaves(state.params))


def test_the_first_gradient_that_is_not_finite_is_found_or_else_the_loss(fresh):
    grads = jax.tree.map(jnp.zeros_like, fresh.params)
    names = finite.names(grads)
    last = jax.tree.leaves(grads)[-1]
    bad = jax.tree.map(lambda x: x - jnp.inf if x is last else x, grads)
    assert int(finite.first(jnp.asarray(jnp.nan), bad)) == len(names) - 1
    assert names[-2].startswith("the gradient of heads_match/") and names[-1] == "the loss"
    assert int(finite.first(jnp.zeros(()), grads)) == 0
    assert int(finite.first(jnp.asarray(jnp.nan), grads)) == len(names)


def test_what_gpus_compute_finds_the_same_ones():
    """One maximum for all gradients of a shape, or one minimum for all numbers."""
    shapes = [(2, 3), (), (4,), (2, 3), (0, 5), (4,), (2, 3)]
    leaves = [jnp.full(shape, 3.0) for shape in shapes]
    for place, shape in enumerate(shapes):
        for value in (jnp.nan, jnp.inf, -jnp.inf):
            given = [*leaves]
            given[place] = jnp.full(shape, value)
            expected = [i != place or 0 in shape for i in range(len(shapes))]
            for function in (finite._one_by_one, finite._by_shape):
                assert function(given).tolist() == expected
            assert finite._as_one(given).tolist() == expected
            both = [*given[:-1], jnp.full(shapes[-1], jnp.nan)]  # names the first one
            expected[-1] = expected[-1] and not all(expected)
            assert finite._as_one(both).tolist() == expected


def test_an_update_that_overflows_is_found_before_it_is_saved():
    """A finite gradient, a large rate: or a squared gradient in the moments of Adam."""
    parts = {"parameter": {"a": np.ones(3, np.float32), "count": np.int32(1)}}
    finite.require(3, parts)
    parts["optimiser"] = ({"nu": jnp.array([1.0, jnp.inf], jnp.bfloat16)},)
    with pytest.raises(NonFiniteError, match=r"step 3: optimiser/0/nu is NaN .*peak-lr"):
        finite.require(3, parts)


def found(total):
    return WeightedMean(jnp.float32(total), jnp.float32(1))


def test_stop_ends_at_once_and_names_step_place_and_examples():
    watch = Watch("stop", 10, ["the gradient of a/kernel", "the loss"])
    assert watch.read(3, found(0), [1, 2]) and watch.read(3, None, [1, 2])
    with pytest.raises(NonFiniteError, match=r"step 4: the gradient of a/kernel is NaN.*\[5, 6\]"):
        watch.read(4, found(1), np.array([5, 6]))
    with pytest.raises(NonFiniteError, match="step 5: the loss is NaN"):
        Watch("stop", 10, ["the gradient of a/kernel", "the loss"]).read(5, found(2), [])


def test_skip_counts_in_a_row_and_ends_beyond_its_limit():
    watch = Watch("skip", 2, ["x"])
    assert [watch.read(i, found(bad), []) for i, bad in enumerate((1, 1, 0, 1, 1))] == [
        False, False, True, False, False,
    ]  # fmt: skip
    with pytest.raises(NonFiniteError, match="3 times in a row"):
        watch.read(6, found(1), [])
    with pytest.raises(NonFiniteError, match="3 times in a row"):  # counted on by who goes on
        Watch("skip", 2, ["x"], in_a_row=2).read(6, found(1), [])


def test_the_average_of_the_parameters_is_what_is_evaluated(update, fresh):
    """decay = min(ema, (1 + t) / (10 + t)); without it `variables` are the parameters."""
    state, expected = fresh, fresh.params
    for number in range(3):
        state, _ = update(state, batch(number))
        decay = min(0.9, (1 + number) / (10 + number))
        expected = jax.tree.map(
            lambda mean, x, d=decay: d * mean + (1 - d) * x, expected, state.params
        )
    close(state.variables["params"], expected, 1e-6)
    assert state.training["params"] is state.params
    plain = dataclasses.replace(state, average=None)
    assert plain.variables["params"] is plain.params and "params" not in plain.training
