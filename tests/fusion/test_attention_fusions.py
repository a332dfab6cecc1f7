"""Who asks whom: what reaches a modality's tokens, through gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.fusion import CoAttention, CrossAttention, Mult
from mmjax.types import Tokens
from tests.samples import tokens

GIVEN = tokens(("a", "b", "c"))


def reached(module):
    """{target: {source: whether its tokens change the target's}}, in example 0, where all are."""
    start = jax.jit(functools.partial(module.init, train=False))
    variables = start(jax.random.key(0), GIVEN)
    ends = {"a": 2, "b": 5, "c": 5 + GIVEN["c"].mask.shape[1]}

    def of_targets(values):
        changed = {n: Tokens(values[n], t.mask) for n, t in GIVEN.items()}
        fused = module.apply(variables, changed, train=False).values[0]
        weighted = jnp.sum(fused * jax.random.normal(jax.random.key(1), fused.shape), axis=-1)
        return [jnp.sum(part) for part in jnp.split(weighted, [ends["a"], ends["b"]])]

    gradients = jax.jit(jax.jacrev(of_targets))({n: t.values for n, t in GIVEN.items()})
    return {
        target: {n: bool(np.all(np.any(g[0] != 0, axis=-1))) for n, g in of.items()}
        for target, of in zip(ends, gradients, strict=True)
    }


@functools.cache
def applied(module):
    return jax.jit(functools.partial(module.apply, train=False))


@pytest.mark.parametrize(
    "module",
    [Mult(dim=8, heads=2), CoAttention(dim=8, heads=2), CrossAttention(dim=8, heads=2)],
    ids=lambda module: type(module).__name__,
)
def test_every_modality_reaches_every_other(module):
    everyone = {"a": True, "b": True, "c": True}
    assert reached(module) == {"a": everyone, "b": everyone, "c": everyone}


def test_in_mult_a_source_stays_as_it_was_however_many_layers_ask_it():
    """What c asks of b does not pass through to a: b's own answers are not what a reads."""
    module = Mult(layers=2, dim=8, heads=2)
    start = jax.jit(functools.partial(module.init, train=False))
    variables = start(jax.random.key(0), GIVEN)
    changed = jax.tree.map(jnp.array, variables)
    changed["params"]["c_to_b_0"] = jax.tree.map(lambda x: x + 1.0, changed["params"]["c_to_b_0"])
    before, after = (applied(module)(v, GIVEN).values for v in (variables, changed))
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert np.any(before[:, 2:5] != after[:, 2:5])
    np.testing.assert_array_equal(before[:, 5:], after[:, 5:])


def test_in_co_attention_all_look_at_the_others_as_they_were():
    """What the layer makes of a is not what b sees in the same layer, but in the next."""
    for layers, same in ((1, True), (2, False)):
        module = CoAttention(layers=layers, dim=8, heads=2)
        start = jax.jit(functools.partial(module.init, train=False))
        variables = start(jax.random.key(0), GIVEN)
        changed = jax.tree.map(jnp.array, variables)
        changed["params"]["co_0_a"] = jax.tree.map(lambda x: x + 1.0, changed["params"]["co_0_a"])
        before, after = (applied(module)(v, GIVEN).values for v in (variables, changed))
        assert np.any(before[0, :2] != after[0, :2])
        assert np.array_equal(before[0, 2:], after[0, 2:]) == same


@pytest.mark.parametrize("module", [Mult(dim=8, heads=2), CoAttention(dim=8, heads=2)], ids=repr)
def test_beside_one_token_of_each_modality_every_parameter_is_alive(module):
    """As the image encoder's and the text encoder's defaults give them."""
    single = {n: Tokens(t.values[:, :1], jnp.ones((4, 1), bool)) for n, t in GIVEN.items()}
    start = jax.jit(functools.partial(module.init, train=False))

    @jax.jit
    def loss(params):
        values = module.apply(params, single, train=False).values
        return jnp.sum(values * jax.random.normal(jax.random.key(1), values.shape) + values**2)

    for path, leaf in jax.tree.leaves_with_path(jax.grad(loss)(start(jax.random.key(0), single))):
        assert np.any(leaf), jax.tree_util.keystr(path)
