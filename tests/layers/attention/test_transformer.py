import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.attention.transformer import TransformerBlock, fusion_block
from mmjax.layers.tokens.modalities import Normed
from mmjax.types import Tokens

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32))
CONTEXT = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 6)).astype(np.float32))
MASK = jnp.asarray([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)


def started(block, *given):
    return jax.jit(lambda key: block.init(key, *given))(jax.random.key(0))


def test_what_all_features_have_in_common_does_not_show_however_large_it_is():
    """The norms' variance beside a mean of 10,000 deviations; only the residual keeps the mean."""
    visible = jnp.ones((2, 1, 5), bool)
    block, normed = fusion_block(2, 0.0, "block"), Normed()
    variables = started(block, X, visible, False), started(normed, Tokens(X, visible[:, 0]))

    @jax.jit
    def read(variables, x):
        tokens = Tokens(x, visible[:, 0])
        return [
            block.apply(variables[0], x, visible, False) - x,
            normed.apply(variables[1], tokens).values,
        ]

    for near, far in zip(read(variables, X), read(variables, X + 1e4), strict=True):
        # float32 itself rounds x + 10,000 to thousandths.
        np.testing.assert_allclose(far, near, atol=0.02)


@pytest.mark.parametrize("nothing", [False, True])
@pytest.mark.parametrize("norm", ["first", "last"])
def test_generation_with_a_cache_is_the_causal_block_token_by_token(norm, nothing):
    block = TransformerBlock(2, norm=norm, causal=True, nothing=nothing)
    variables = started(block, X, MASK[:, None], False, CONTEXT)
    whole = jax.jit(lambda: block.apply(variables, X, MASK[:, None], False, CONTEXT))()

    @jax.jit
    def step(cache, x, position):
        given = variables | cache
        return block.apply(
            given, x, MASK[:, None], False, CONTEXT, position=position, mutable=["cache"]
        )

    found, cache = step({}, X[:, :2], jnp.asarray(0))  # two tokens at once, as a prompt
    parts = [found]
    for place in range(2, X.shape[1]):
        found, cache = step(cache, X[:, place : place + 1], jnp.asarray(place))
        parts.append(found)
    parts = jnp.concatenate(parts, axis=1)
    np.testing.assert_allclose(parts[MASK], whole[MASK], atol=1e-5)


def test_a_causal_token_depends_on_no_later_one_and_a_context_only_where_it_is_visible():
    block = TransformerBlock(2, causal=True)
    shown = jnp.asarray([[[True, True, False]]] * 2)
    variables = started(block, X, MASK[:, None], False, CONTEXT, shown)

    @jax.jit
    @jax.grad
    def influence(given):
        x, context = given
        return block.apply(variables, x, MASK[:, None], False, context, shown)[0, 2].sum()

    x, context = influence((X, CONTEXT))
    np.testing.assert_array_equal(np.any(x[0], axis=1), [True, True, True, False, False])
    np.testing.assert_array_equal(np.any(context[0], axis=1), [True, True, False])


def test_with_a_context_alone_a_block_does_not_attend_to_itself():
    block = fusion_block(2, 0.0, "block")
    variables = started(block, X, None, False, CONTEXT)
    assert "query" not in variables["params"]
    seen = jax.jacobian(lambda x: block.apply(variables, x, None, False, CONTEXT)[0, 0, 0])(X)
    np.testing.assert_array_equal(np.any(seen[0], axis=1), [True, False, False, False, False])
