import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders.bert import Bert

SMALL = {"vocabulary_size": 20, "positions": 6, "width": 8, "layers": 2, "heads": 2}
WORDS = np.array([[3, 7, 3, 19, 0, 5], [1, 2, 9, 9, 9, 9]], np.int32)
MASK = np.array([[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]], bool)


def shapes(module, words=WORDS, mask=MASK):
    """(tokens, variables) of texts, as shapes."""
    init = functools.partial(module.init_with_output, train=False)
    return jax.eval_shape(init, jax.random.key(0), jnp.asarray(words), jnp.asarray(mask))


def encode(module, words=WORDS, mask=MASK, train=False):
    """Tokens, of parameters that are the same for all that differs in pooling and dropout."""

    @jax.jit
    def run(words, mask):
        variables = module.init(jax.random.key(0), words, mask, train=False)
        rngs = {"dropout": jax.random.key(1)}
        return module.apply(variables, words, mask, train=train, rngs=rngs)

    return run(jnp.asarray(words), jnp.asarray(mask))


@pytest.mark.parametrize(
    "size, width, layers, count",
    [
        ("tiny", 128, 2, 4_385_920),
        ("mini", 256, 4, 11_170_560),
        ("small", 512, 4, 28_763_648),
        ("medium", 512, 8, 41_373_184),
        ("base", 768, 12, 109_482_240),
    ],
)
def test_the_sizes_are_those_of_the_papers(size, width, layers, count):
    tokens, variables = shapes(Bert(size))
    pooler, segments, key_biases = width * (width + 1), 2 * width, layers * width
    found = sum(x.size for x in jax.tree.leaves(variables))
    assert found == count - pooler - segments - key_biases
    assert tokens.values.shape == (2, 6, width)


def test_every_word_sees_every_other():
    whole = np.ones_like(MASK)
    values = encode(Bert(**SMALL), WORDS, whole).values
    other = WORDS.copy()
    other[0, 5] = 6
    changed = encode(Bert(**SMALL), other, whole).values
    assert np.all(np.any(values[0] != changed[0], axis=-1))
    np.testing.assert_array_equal(values[1], changed[1])


def test_an_id_that_is_no_word_is_masked():
    words = WORDS.copy()
    words[0, 1], words[1, 4] = 20, -1
    mask = MASK.copy()
    mask[0, 1] = mask[1, 4] = False
    given, expected = encode(Bert(**SMALL), words), encode(Bert(**SMALL), WORDS, mask)
    np.testing.assert_array_equal(given.mask, mask)
    np.testing.assert_array_equal(given.values, expected.values)


def test_a_text_is_one_token_if_asked():
    each = encode(Bert(**SMALL))
    first = encode(Bert(**SMALL, pooling="first"))
    mean = encode(Bert(**SMALL, pooling="mean"))
    assert first.values.shape == mean.values.shape == (2, 1, 8)
    np.testing.assert_allclose(first.values[:, 0], each.values[[0, 1], [0, 2]], rtol=1e-6)
    averages = [each.values[0, :4].mean(0), each.values[1, 2:].mean(0)]
    np.testing.assert_allclose(mean.values[:, 0], averages, rtol=1e-5, atol=1e-6)


def test_a_token_is_as_wide_as_asked():
    for pooling, count in (("none", 6), ("first", 1)):
        tokens, _ = shapes(Bert(**SMALL, dim=5, pooling=pooling))
        assert tokens.values.shape == (2, count, 5)


def test_dropout_acts_in_training_alone():
    kept = encode(Bert(**SMALL))
    module = Bert(**SMALL, dropout=0.5)
    np.testing.assert_array_equal(encode(module).values, kept.values)
    assert np.any(encode(module, train=True).values != kept.values)


def test_a_text_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match=r"at most 6 words, padding counted, got 7; shorten"):
        shapes(Bert(**SMALL), np.zeros((1, 7), np.int32), np.zeros((1, 7), bool))
