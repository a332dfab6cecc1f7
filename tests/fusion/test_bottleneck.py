import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.fusion import Bottleneck, Early
from mmjax.types import Tokens
from tests.samples import tokens


def influence(module, given, variables):
    """d (what `a` becomes) / d (what `b` was), in example 0, where both are there."""

    @jax.jit
    def of_a(values):
        changed = {**given, "b": Tokens(values, given["b"].mask)}
        count = given["a"].mask.shape[1]
        fused = module.apply(variables, changed, train=False)
        return jnp.sum(fused.values[0, :count] ** 2)

    return jax.grad(of_a)(given["b"].values)[0]


def initialised(module, given):
    return jax.jit(functools.partial(module.init, train=False))(jax.random.key(0), given)


def test_nothing_passes_between_modalities_except_through_the_bottleneck():
    given = tokens(("a", "b"))
    with_tokens = Bottleneck(bottlenecks=1, layers=2, dim=8, heads=2)
    without = Bottleneck(bottlenecks=0, layers=2, dim=8, heads=2)
    variables = initialised(with_tokens, given)
    assert np.all(np.any(influence(with_tokens, given, variables) != 0, axis=-1))
    parameters = {k: v for k, v in variables["params"].items() if k != "bottleneck"}
    assert not np.any(influence(without, given, {"params": parameters}))


def test_before_the_fusing_layers_modalities_are_alone():
    """With all but the last two layers alone, what b was reaches a through two layers only."""
    given = tokens(("a", "b"))
    late = Bottleneck(bottlenecks=2, layers=3, fuse_from=1, dim=8, heads=2)
    assert np.any(influence(late, given, initialised(late, given)))
    for fields in ({"layers": 1}, {"layers": 3, "fuse_from": 2}):
        with pytest.raises(ValueError, match="at least 2 layers with bottleneck tokens"):
            Bottleneck(bottlenecks=2, **fields).init(jax.random.key(0), given, train=False)


def test_a_single_modality_without_bottlenecks_is_a_plain_transformer():
    given = tokens(("a",))
    plain = Early(layers=2, dim=8, heads=2)
    variables = initialised(plain, given)
    params = variables["params"]
    same = {
        "projection_a": params["join"]["a"],
        "a_0": params["block_0"],
        "a_1": params["block_1"],
        "norm": params["norm"],
    }
    alone = Bottleneck(bottlenecks=0, layers=2, dim=8, heads=2)
    found = alone.apply({"params": same}, given, train=False)
    expected = plain.apply(variables, given, train=False)
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)


def test_a_modality_that_is_missing_writes_nothing_into_the_bottleneck():
    """a with b missing is a alone, whatever b's parameters are."""
    given = tokens(("a", "b"))
    gone = {**given, "b": Tokens(given["b"].values, jnp.zeros_like(given["b"].mask))}
    module = Bottleneck(bottlenecks=2, layers=2, dim=8, heads=2)
    variables = initialised(module, given)
    count = given["a"].mask.shape[1]
    with_b = module.apply(variables, gone, train=False).values[:, :count]
    alone = module.apply(variables, {"a": given["a"]}, train=False).values
    np.testing.assert_allclose(with_b, alone, atol=1e-5)
