"""The contracts of every registered encoder, fusion and head."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.types import Tokens
from tests import samples

ENCODERS = [pytest.param(m, i, id=n) for n, m, i in samples.encoders()]
SEQUENCES = [param for param in ENCODERS if param.values[1]().mask.ndim > 1]
CONTINUOUS = [param for param in ENCODERS if param.values[1]().values.dtype == np.float32]
FUSIONS = [pytest.param(module, id=name) for name, module in samples.fusions()]
HEADS = [pytest.param(module, id=name) for name, module in samples.heads()]
MODALITIES = [("a",), ("a", "b"), ("a", "b", "c")]


def finite(tree):
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(tree))


def alive(gradients):
    dead = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not np.any(leaf)
    ]
    assert not dead
    finite(gradients)


def init(module, *inputs):
    start = jax.jit(functools.partial(module.init, train=False))
    return start(jax.random.key(0), *inputs).get("params", {})


@pytest.mark.parametrize("module, make", ENCODERS)
def test_what_is_under_an_encoders_mask_changes_nothing(module, make):
    given = make()
    params = init(module, given.values, given.mask)
    other = samples.garbage(given.values, given.mask)
    assert np.any(other != given.values)
    value, gradient = jax.value_and_grad(samples.loss_of(module, given.values, given.mask))(params)
    changed = jax.value_and_grad(samples.loss_of(module, other, given.mask))(params)
    chex.assert_trees_all_equal((value, gradient), changed)
    finite(gradient)


@pytest.mark.parametrize("module, make", ENCODERS)
def test_what_is_missing_gives_an_encoder_no_token_and_no_gradient(module, make):
    given = make()
    params = init(module, given.values, given.mask)
    nothing = jnp.zeros_like(given.mask)
    tokens = module.apply({"params": params}, given.values, nothing, train=False)
    assert not np.any(tokens.mask) and not np.any(tokens.values)
    gradient = jax.grad(samples.loss_of(module, given.values, nothing))(params)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("module, make", CONTINUOUS)
def test_a_hidden_pixel_gets_exactly_zero_gradient(module, make):
    given = make()
    params = init(module, given.values, given.mask)
    gradient = jax.grad(lambda x: samples.loss_of(module, x, given.mask)(params))(given.values)
    hidden = np.broadcast_to(~np.asarray(given.mask)[:, None, None, None], gradient.shape)
    assert not np.any(gradient[hidden]) and np.any(gradient[~hidden])


@pytest.mark.parametrize("module, make", ENCODERS)
def test_an_example_does_not_depend_on_its_batch(module, make):
    given = make()
    params = init(module, given.values, given.mask)
    tokens = module.apply({"params": params}, given.values, given.mask, train=False)
    for i in range(len(given.mask)):
        alone = module.apply(
            {"params": params}, given.values[i : i + 1], given.mask[i : i + 1], train=False
        )
        np.testing.assert_array_equal(alone.mask[0], tokens.mask[i])
        np.testing.assert_allclose(alone.values[0], tokens.values[i], atol=1e-5)


@pytest.mark.parametrize("module, make", SEQUENCES)
def test_longer_padding_changes_nothing(module, make):
    given = make()
    params = init(module, given.values, given.mask)
    short = module.apply({"params": params}, given.values, given.mask, train=False)
    values, mask = (jnp.pad(x, ((0, 0), (0, 3))) for x in (given.values, given.mask))
    long = module.apply({"params": params}, values, mask, train=False)
    count = short.mask.shape[1]
    np.testing.assert_array_equal(long.mask[:, :count], short.mask)
    assert not np.any(long.mask[:, count:])
    np.testing.assert_allclose(long.values[:, :count], short.values, atol=1e-6)


@pytest.mark.parametrize("module, make", ENCODERS)
def test_every_parameter_of_an_encoder_is_alive(module, make):
    given = make()
    params = init(module, given.values, given.mask)
    alive(jax.grad(samples.loss_of(module, given.values, given.mask))(params))


@pytest.mark.parametrize("names", MODALITIES, ids=len)
@pytest.mark.parametrize("module", FUSIONS)
def test_what_is_under_a_fusions_mask_changes_nothing(module, names):
    given = samples.tokens(names)
    params = init(module, given)
    other = {n: Tokens(samples.garbage(t.values, t.mask), t.mask) for n, t in given.items()}
    original = jax.value_and_grad(samples.loss_of(module, given))(params)
    chex.assert_trees_all_equal(
        original, jax.value_and_grad(samples.loss_of(module, other))(params)
    )
    finite(original)


@pytest.mark.parametrize("names", MODALITIES, ids=len)
@pytest.mark.parametrize("module", FUSIONS)
def test_a_hidden_token_gets_exactly_zero_gradient(module, names):
    given = samples.tokens(names)
    params = init(module, given)

    def loss(values):
        tokens = {n: Tokens(values[n], given[n].mask) for n in given}
        return samples.loss_of(module, tokens)(params)

    gradient = jax.grad(loss)({n: t.values for n, t in given.items()})
    for name, tokens in given.items():
        hidden = ~np.asarray(tokens.mask)
        assert not np.any(gradient[name][hidden])
        assert np.all(np.any(gradient[name][~hidden] != 0, axis=-1))


@pytest.mark.parametrize("module", FUSIONS)
def test_the_order_of_modalities_does_not_matter(module):
    given = samples.tokens(("a", "b", "c"))
    params = init(module, given)
    expected = module.apply({"params": params}, given, train=False)
    for order in itertools.permutations(given):
        shuffled = {name: given[name] for name in order}
        chex.assert_trees_all_equal(init(module, shuffled), params)
        chex.assert_trees_all_equal(
            module.apply({"params": params}, shuffled, train=False), expected
        )


@pytest.mark.parametrize("names", MODALITIES, ids=len)
@pytest.mark.parametrize("module", FUSIONS)
def test_every_parameter_of_a_fusion_is_alive(module, names):
    given = samples.tokens(names)
    alive(jax.grad(samples.loss_of(module, given))(init(module, given)))


@pytest.mark.parametrize("names", MODALITIES, ids=len)
@pytest.mark.parametrize("module", FUSIONS)
def test_with_everything_missing_a_fusion_gives_no_token(module, names):
    given = samples.tokens(names)
    fused = module.apply({"params": init(module, given)}, given, train=False)
    assert fused.values.shape[:2] == fused.mask.shape
    np.testing.assert_array_equal(
        fused.present(), np.any([np.any(t.mask, axis=1) for t in given.values()], axis=0)
    )
    assert not np.any(fused.mask[3])
    finite(fused.values)


@pytest.mark.parametrize("module", FUSIONS)
def test_a_fusion_without_modalities_is_refused(module):
    with pytest.raises(ValueError, match="at least one modality"):
        module.init(jax.random.key(0), {}, train=False)


@pytest.mark.parametrize("module", HEADS)
def test_what_is_under_a_heads_mask_changes_nothing(module):
    given = samples.tokens(("a", "b"))["b"]
    params = init(module, given)
    other = Tokens(samples.garbage(given.values, given.mask), given.mask)
    original = jax.value_and_grad(samples.loss_of(module, given))(params)
    chex.assert_trees_all_equal(
        original, jax.value_and_grad(samples.loss_of(module, other))(params)
    )
    finite(original)


@pytest.mark.parametrize("module", HEADS)
def test_without_a_token_a_head_gives_the_same_learned_prior(module):
    given = samples.tokens(("a", "b"))["b"]
    params = init(module, given)
    # Biases start at zero: a prior that nothing has taught yet.
    params = jax.tree.map(lambda x: x + 0.1, params)
    nothing = Tokens(given.values, jnp.zeros_like(given.mask))
    output = module.apply({"params": params}, nothing, train=False)
    output = np.asarray(output)
    assert np.all(output == output[:1]) and np.all(np.isfinite(output)) and np.all(output != 0)
    gradient = jax.grad(samples.loss_of(module, nothing))(params)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("module", HEADS)
def test_every_parameter_of_a_head_is_alive(module):
    given = samples.tokens(("a", "b"))["b"]
    alive(jax.grad(samples.loss_of(module, given))(init(module, given)))
