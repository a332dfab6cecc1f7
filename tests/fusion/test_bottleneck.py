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
        # Not the squares: a LayerNorm keeps their sum as it is.
        weights = jax.random.normal(jax.random.key(1), fused.values[0, :count].shape)
        return jnp.sum(weights * fused.values[0, :count])

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


@pytest.mark.slow
def test_before_the_fusing_layers_modalities_are_alone():
    """b reaches a in two layers; in the first of three it changes nothing that a writes."""
    given = tokens(("a", "b"))
    late = Bottleneck(bottlenecks=2, layers=3, fuse_from=1, dim=8, heads=2)
    variables = initialised(late, given)
    reached = influence(late, given, variables)
    assert np.any(reached)
    soon = Bottleneck(bottlenecks=2, layers=3, fuse_from=0, dim=8, heads=2)
    assert np.max(np.abs(influence(soon, given, variables) - reached)) > 1e-4
    # Its first layer is a plain transformer's: with it, and two that fuse, the same comes out.
    alone = Bottleneck(bottlenecks=0, layers=1, dim=8, heads=2)
    plain = {k: variables["params"][k] for k in ("streams", "a_0", "b_0", "out")}
    _, found = alone.apply({"params": plain}, given, train=False, capture_intermediates=True)
    _, expected = late.apply(variables, given, train=False, capture_intermediates=True)
    for name in ("a_0", "b_0"):
        first, again = (x["intermediates"][name]["__call__"][0] for x in (found, expected))
        np.testing.assert_allclose(first, again, atol=1e-6)
    with pytest.raises(ValueError, match=r"Bottleneck.fuse_from: expected at least 0, got -1"):
        Bottleneck(fuse_from=-1).init(jax.random.key(0), given, train=False)
    for fields in ({"layers": 1}, {"layers": 3, "fuse_from": 2}):
        with pytest.raises(ValueError, match="at least 2 layers with bottleneck tokens"):
            Bottleneck(bottlenecks=2, **fields).init(jax.random.key(0), given, train=False)


def test_a_single_modality_without_bottlenecks_is_a_plain_transformer():
    given = tokens(("a",))
    plain = Early(layers=2, dim=8, heads=2)
    variables = initialised(plain, given)
    params = variables["params"]
    same = {
        "streams": params["join"]["streams"],
        "a_0": params["block_0"],
        "a_1": params["block_1"],
        "out": params["out"],
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
