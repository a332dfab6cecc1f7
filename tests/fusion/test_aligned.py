import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.fusion.aligned import Aligned
from mmjax.types import Tokens

METHODS = ("resample", "attention", "ctc", "sinkhorn")
MASKS = {
    "sound": [[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0] * 5, [0] * 5],
    "text": [[1, 1], [1, 1], [1, 1], [0, 0]],
}


def given(names=("sound", "text")):
    found = {}
    for k, name in enumerate(names):
        mask = jnp.array(MASKS[name], bool)
        values = jax.random.normal(jax.random.key(k), (*mask.shape, 3 + k))
        found[name] = Tokens(values, mask)
    return found


def fusion(method, **fields):
    return Aligned(**({"steps": 5, "dim": 4, "heads": 2, "iterations": 5} | fields), method=method)


def init(module, modalities):
    start = jax.jit(lambda key, modalities: module.init(key, modalities, train=False))
    return start(jax.random.key(9), modalities)["params"]


@functools.cache
def loss_and_gradients(module):
    """(params, modalities) -> ((a scalar that every output enters, the output), gradients)."""

    @jax.jit
    def of(params, modalities):
        def loss(params, modalities):
            fused = module.apply({"params": params}, modalities, train=False)
            weights = jax.random.normal(jax.random.key(3), fused.values.shape)
            return jnp.sum(weights * fused.values), fused

        gradients = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True, allow_int=True)
        return gradients(params, modalities)

    return of


@pytest.mark.parametrize("names", [("text",), ("sound", "text")], ids=len)
@pytest.mark.parametrize("method", METHODS)
def test_padding_is_invisible_and_every_parameter_alive(method, names):
    module, modalities = fusion(method), given(names)
    params = init(module, modalities)
    of = loss_and_gradients(module)
    value, (gradient, by_token) = of(params, modalities)
    garbage = {
        n: Tokens(jnp.where(t.mask[:, :, None], t.values, 1e30), t.mask)
        for n, t in modalities.items()
    }
    other_value, (other_gradient, _) = of(params, garbage)
    chex.assert_trees_all_equal((value, gradient), (other_value, other_gradient))
    chex.assert_tree_all_finite((value, gradient))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))
    for name, tokens in modalities.items():
        hidden = ~np.asarray(tokens.mask)
        assert not np.any(by_token[name].values[hidden])
        assert np.all(np.any(by_token[name].values[~hidden], axis=-1))


@pytest.mark.parametrize("method", METHODS)
def test_all_steps_are_there_where_an_example_has_anything(method):
    module, modalities = fusion(method), given()
    params = init(module, modalities)
    of = loss_and_gradients(module)
    (_, fused), _ = of(params, modalities)
    np.testing.assert_array_equal(fused.mask, [[True] * 5] * 3 + [[False] * 5])
    assert fused.values.shape == (4, 5, 4) and not np.any(fused.values[3])
    nothing = {n: Tokens(t.values, jnp.zeros_like(t.mask)) for n, t in modalities.items()}
    (_, fused), (gradient, _) = of(params, nothing)
    assert not np.any(fused.mask) and not np.any(fused.values)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_a_step_joins_what_the_modalities_have_at_the_same_time():
    """With resampling, step 0 reads the first tokens and the last step the last ones."""
    module, modalities = fusion("resample", dim=16), given()
    params = init(module, modalities)

    @jax.jit
    @jax.grad
    def first_step(values):
        changed = {n: Tokens(values[n], t.mask) for n, t in modalities.items()}
        return jnp.sum(module.apply({"params": params}, changed, train=False).values[1, 0])

    gradient = first_step({n: t.values for n, t in modalities.items()})
    read = {n: np.any(g[1], axis=-1).tolist() for n, g in gradient.items()}
    assert read == {"sound": [False, True, False, False, False], "text": [True, False]}


def test_the_modalities_are_joined_and_not_only_added():
    """f(a, b) + f(0, 0) = f(a, 0) + f(0, b) for whatever adds functions of one modality each."""
    module, modalities = fusion("resample", dim=16), given()
    params = init(module, modalities)
    # Example 0 has both modalities.
    zeroed = {n: Tokens(jnp.zeros_like(t.values), t.mask) for n, t in modalities.items()}

    @jax.jit
    def value(sound, text):
        chosen = {"sound": sound["sound"], "text": text["text"]}
        return module.apply({"params": params}, chosen, train=False).values[0]

    together = value(modalities, modalities) + value(zeroed, zeroed)
    apart = value(modalities, zeroed) + value(zeroed, modalities)
    assert np.max(np.abs(together - apart)) > 0.1


@pytest.mark.parametrize("method", ["ctc", "sinkhorn"])
def test_the_loss_of_ctc_stands_under_each_modality(method):
    modalities = given()
    module = fusion(method)
    apply = jax.jit(functools.partial(module.apply, train=True, mutable=["losses"]))
    _, recorded = apply({"params": init(module, modalities)}, modalities)
    counts = {
        name: losses["ctc"][1].tolist() for name, losses in recorded.get("losses", {}).items()
    }
    # Two or three tokens cannot pass through five steps.
    expected = {"align_sound": [1, 0, 0, 0], "align_text": [0, 0, 0, 0]}
    assert counts == (expected if method == "ctc" else {})


@pytest.mark.parametrize("method", METHODS)
def test_no_steps_are_refused(method):
    with pytest.raises(ValueError, match=r"steps(: expected| must be) at least [12], got 0"):
        fusion(method, steps=0).init(jax.random.key(0), given(), train=False)


@pytest.mark.parametrize("field", [{"temperature": 0.0}, {"iterations": 0}])
def test_fields_of_the_transport_out_of_range_are_refused(field):
    with pytest.raises(ValueError, match=f"{next(iter(field))} must be .*, got 0"):
        fusion("sinkhorn", **field).init(jax.random.key(0), given(), train=False)


def test_an_unknown_method_is_refused_with_those_that_are_known():
    bound = fusion("resample").bind({})
    object.__setattr__(bound, "method", "warp")  # a constructor with checked types refuses it first
    with pytest.raises(ValueError, match=r"Aligned\.method: got 'warp', choose from resample, att"):
        bound(given(), train=False)
