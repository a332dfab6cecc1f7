import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.fusion import Concat, CrossAttention, Sum
from mmjax.heads import Logit
from mmjax.types import Tokens
from tests.samples import tokens


def one_token(values):
    values = jnp.asarray(values, jnp.float32)[:, None, :]
    return Tokens(values, jnp.ones(values.shape[:2], bool))


def test_concat_puts_vectors_side_by_side_and_zeros_for_what_is_missing():
    left = Tokens(jnp.full((2, 1, 1), 5.0), jnp.array([[True], [False]]))
    fused = Concat().apply({}, {"b": one_token([[1, 2], [3, 4]]), "a": left}, train=False)
    np.testing.assert_array_equal(fused.values[:, 0], [[5, 1, 2], [0, 3, 4]])


def test_sum_adds_what_is_there():
    left = Tokens(jnp.full((2, 1, 2), 5.0), jnp.array([[True], [False]]))
    fused = Sum().apply({}, {"b": one_token([[1, 2], [3, 4]]), "a": left}, train=False)
    np.testing.assert_array_equal(fused.values[:, 0], [[6, 7], [3, 4]])


def test_a_sum_of_different_widths_says_what_would_fix_it():
    given = {"a": one_token([[1, 2]]), "b": one_token([[1, 2, 3]])}
    with pytest.raises(ValueError, match=r"'a': 2, 'b': 3.*--model.fusion.dim 3"):
        Sum().apply({}, given, train=False)
    variables = Sum(dim=4).init(jax.random.key(0), given, train=False)
    assert Sum(dim=4).apply(variables, given, train=False).values.shape == (1, 1, 4)


def test_attention_lets_tokens_ask_other_modalities_and_not_their_own():
    given = tokens(("a", "b"))
    module = CrossAttention(dim=8, heads=2)
    variables = jax.jit(lambda: module.init(jax.random.key(0), given, train=False))()

    @jax.jit
    def answer_of_b(other):
        """Token 0 of `b` in example 0, which sees both modalities."""
        changed = {n: Tokens(t.values + other[n], t.mask) for n, t in given.items()}
        return module.apply(variables, changed, train=False).values[0, 2].sum()

    zeros = {name: jnp.zeros_like(t.values) for name, t in given.items()}
    gradient = jax.grad(answer_of_b)(zeros)
    assert np.any(gradient["a"][0]) and np.any(gradient["b"][0, 0])
    assert not np.any(gradient["b"][0, 1]) and not np.any(gradient["b"][1:])


def test_a_linear_head_on_a_concatenation_is_additive_and_cannot_say_that_two_things_match():
    """logit(a, b) + logit(a', b') = logit(a', b) + logit(a, b'): no weights make it an AND."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 2, 3))
    pairs = [(first[i], second[j]) for i, j in ((0, 0), (1, 1), (1, 0), (0, 1))]
    given = {name: one_token([pair[k] for pair in pairs]) for k, name in enumerate("ab")}
    fused = Concat().apply({}, given, train=False)

    def interaction(hidden):
        head = Logit(hidden=hidden)
        variables = head.init(jax.random.key(0), fused, train=False)
        same_a, same_b, crossed_a, crossed_b = head.apply(variables, fused, train=False)
        return abs(same_a + same_b - crossed_a - crossed_b)

    assert interaction(()) < 1e-5 < 1e-2 < interaction((16,))
