import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.attention.attention import MultiHeadAttention, attend


def test_attend_is_softmax_over_the_visible_keys():
    rng = np.random.default_rng(0)
    query, key, value = (rng.normal(size=(2, 3, 2, 4)).astype(np.float32) for _ in range(3))
    mask = np.array([[[1, 1, 0], [0, 1, 1], [1, 0, 0]]] * 2, bool)
    logits = np.einsum("bqhd,bkhd->bhqk", query, key) / 2.0
    weights = np.where(mask[:, None], np.exp(logits), 0.0)
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("bhqk,bkhd->bqhd", weights, value)
    found = attend(*map(jnp.asarray, (query, key, value, mask)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_query_that_sees_nothing_gets_zeros_and_no_nan_gradient():
    x = jnp.ones((1, 2, 1, 4))
    mask = jnp.array([[[False, False], [True, False]]])
    value, gradient = jax.value_and_grad(lambda x: jnp.sum(attend(x, x, x, mask)[:, 0]))(x)
    assert value == 0 and not np.any(gradient)


def test_heads_that_do_not_divide_the_width_are_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"heads=5 must divide dim=12; choose from \[1, 2, 3, 4"):
        MultiHeadAttention(dim=12, heads=5).init(
            jax.random.key(0), jnp.ones((1, 1, 3)), jnp.ones((1, 1, 3)), jnp.ones((1, 1, 1), bool)
        )
