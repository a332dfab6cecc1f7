"""The layers' own gradients, and the loop's unrolling: neither may change anything."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.encoders import Gru, Lstm
from mmjax.layers.recurrent.gru import gru
from mmjax.layers.recurrent.lstm import lstm

BATCH, WORDS, WIDTH, DIM = 4, 7, 3, 5
MASK = np.arange(WORDS)[None] < np.array([0, 1, 4, WORDS])[:, None]
GAPS = MASK[:, [3, 0, 6, 1, 5, 2, 4]]
LAYERS = pytest.mark.parametrize(("layer", "gates"), [(lstm, 4), (gru, 3)], ids=["lstm", "gru"])


def parameters(gates, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"input_kernel": (WIDTH, gates * DIM), "recurrent_kernel": (DIM, gates * DIM)}
    shapes["bias"] = (gates * DIM,)
    if gates == 3:
        shapes["candidate_bias"] = (DIM,)
    return {k: jnp.asarray(rng.normal(size=s).astype(np.float32)) for k, s in shapes.items()}


def plain(cell, x, mask, *, reverse=False, **params):
    """The equations token by token, whose gradient is JAX's."""
    old = [jnp.zeros((x.shape[0], DIM))] * 2
    states = []
    for place in range(WORDS)[:: -1 if reverse else 1]:
        new = cell(x[:, place], *old, **params)
        old = [jnp.where(mask[:, place, None], *pair) for pair in zip(new, old, strict=True)]
        states.append(old[0])
    return jnp.stack(states[:: -1 if reverse else 1], axis=1), states[-1]


def lstm_cell(x, state, cell, *, input_kernel, recurrent_kernel, bias):
    gates = x @ input_kernel + state @ recurrent_kernel + bias[None]
    i, f, g, o = jnp.split(gates, 4, axis=1)
    cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * nn.tanh(g)
    return nn.sigmoid(o) * nn.tanh(cell), cell


def gru_cell(x, state, _, *, input_kernel, recurrent_kernel, bias, candidate_bias):
    r, z, n = jnp.split(x @ input_kernel + bias[None], 3, axis=1)
    u, v, w = jnp.split(state @ recurrent_kernel, 3, axis=1)
    update = nn.sigmoid(z + v)
    candidate = nn.tanh(n + nn.sigmoid(r + u) * (w + candidate_bias[None]))
    return (1 - update) * candidate + update * state, state


def gradients(layer, params, x, mask):
    """Outputs, and the gradients of parameters and input, of a loss in which all outputs count."""
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(BATCH, WORDS, DIM)), rng.normal(size=(BATCH, DIM))
    every, last = (jnp.asarray(w.astype(np.float32)) for w in weights)

    def loss(params, x):
        states, final = layer(x, jnp.asarray(mask), **params)
        return jnp.sum(states * every) + jnp.sum(final * last), (states, final)

    return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, x)


def inputs(seed=0):
    return jax.random.normal(jax.random.key(seed), (BATCH, WORDS, WIDTH))


def assert_equal(found, expected, atol=1e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=atol, rtol=1e-5), found, expected
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mask", [MASK, GAPS], ids=["padded", "gaps"])
@pytest.mark.parametrize(
    ("layer", "cell", "gates"), [(lstm, lstm_cell, 4), (gru, gru_cell, 3)], ids=["lstm", "gru"]
)
def test_a_layers_own_gradient_is_that_of_its_equations(layer, cell, gates, mask, reverse):
    params, x = parameters(gates), inputs()
    found = gradients(functools.partial(layer, reverse=reverse), params, x, mask)
    expected = gradients(functools.partial(plain, cell, reverse=reverse), params, x, mask)
    assert_equal(found, expected, atol=2e-6)
    assert not np.any(np.asarray(found[0][1])[~mask])


def test_the_gradient_from_stored_gates_is_the_same(monkeypatch):
    """As GPUs compute it."""
    params, x = parameters(4), inputs()
    expected = gradients(lstm, params, x, GAPS)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *, cuda, default: cuda())
    assert_equal(gradients(lstm, params, x, GAPS), expected)


@LAYERS
def test_without_a_token_all_gradients_are_zeros(layer, gates):
    params, mask = parameters(gates), jnp.zeros((BATCH, 0), bool)

    def loss(params, x):
        states, final = layer(x, mask, **params)
        return jnp.sum(states) + jnp.sum(final)

    found = jax.grad(loss, argnums=(0, 1))(params, jnp.zeros((BATCH, 0, WIDTH)))
    assert found[1].shape == (BATCH, 0, WIDTH)
    assert jax.tree.map(jnp.shape, found[0]) == jax.tree.map(jnp.shape, params)
    assert not any(np.any(gradient) for gradient in jax.tree.leaves(found))


@pytest.mark.parametrize("unroll", [2, 3, WORDS, 2 * WORDS])
@pytest.mark.parametrize("reverse", [False, True])
@LAYERS
def test_unrolling_changes_neither_outputs_nor_gradients(layer, gates, reverse, unroll):
    params, x = parameters(gates), inputs()
    layer = functools.partial(layer, reverse=reverse)
    expected = gradients(layer, params, x, GAPS)
    assert_equal(gradients(functools.partial(layer, unroll=unroll), params, x, GAPS), expected)


@pytest.mark.parametrize("encoder", [Lstm, Gru])
def test_an_encoder_that_unrolls_has_the_same_parameters_and_tokens(encoder):
    words, mask = np.full((2, 5), 3, np.int32), np.arange(5)[None] < np.array([[2], [5]])
    one, three = (
        encoder(9, 4, 6, bidirectional=True),
        encoder(9, 4, 6, bidirectional=True, unroll=3),
    )
    variables = one.init(jax.random.key(0), words, mask, train=False)
    expected = one.apply(variables, words, mask, train=False)
    found = three.apply(variables, words, mask, train=False)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)


def test_unrolling_by_less_than_one_token_is_refused():
    with pytest.raises(ValueError, match="unroll: expected at least 1, got 0"):
        Lstm(9, unroll=0).init(
            jax.random.key(0), np.zeros((1, 2), np.int32), np.ones((1, 2), bool), train=False
        )


@LAYERS
def test_many_runs_at_once_have_the_gradients_of_each(layer, gates):
    x = jnp.stack([inputs(0), inputs(1)])
    params = jax.tree.map(lambda *a: jnp.stack(a), parameters(gates, 0), parameters(gates, 1))
    one = functools.partial(gradients, layer, mask=GAPS)
    found = jax.vmap(lambda params, x: one(params, x))(params, x)
    for run in range(2):
        alone = one(jax.tree.map(lambda a, run=run: a[run], params), x[run])
        assert_equal(jax.tree.map(lambda a, run=run: a[run], found), alone)


@pytest.mark.parametrize("cast", [True, False], ids=["parameters cast", "parameters as they are"])
@LAYERS
def test_inside_shard_map_the_gradients_of_all_shares_add_up(layer, gates, cast):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    params, x = parameters(gates), inputs()
    split, whole = jax.sharding.PartitionSpec("data"), jax.sharding.PartitionSpec()

    def loss(params, x, mask):
        return jnp.sum(layer(x, mask, **params)[0] ** 2)

    def step(params, x, mask):
        if not cast:  # the gradient of what is the same on all devices is summed by JAX
            return jax.grad(loss)(params, x, mask)
        own = jax.tree.map(lambda p: jax.lax.pcast(p, "data", to="varying"), params)
        return jax.lax.psum(jax.grad(loss)(own, x, mask), "data")

    sharded = jax.shard_map(step, mesh=mesh, in_specs=(whole, split, split), out_specs=whole)
    found = jax.jit(sharded)(params, x, jnp.asarray(GAPS))
    assert_equal(found, jax.grad(loss)(params, x, jnp.asarray(GAPS)), atol=1e-5)
