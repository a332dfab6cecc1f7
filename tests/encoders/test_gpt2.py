import jax
import numpy as np
import pytest

from mmjax.encoders.gpt2 import Gpt2
from tests.encoders.test_bert import MASK, SMALL, WORDS, encode, shapes


@pytest.mark.parametrize(
    "size, width, layers, count",
    [
        ("tiny", 128, 2, 6_960_768),
        ("small", 768, 12, 124_439_808),
        ("medium", 1024, 24, 354_823_168),
    ],
)
def test_the_sizes_are_those_of_the_published_networks(size, width, layers, count):
    tokens, variables = shapes(Gpt2(size))
    assert sum(x.size for x in jax.tree.leaves(variables)) == count - layers * width  # key biases
    assert tokens.values.shape == (2, 6, width)


def test_a_word_sees_the_ones_before_it_alone():
    whole = np.ones_like(MASK)
    values = encode(Gpt2(**SMALL), WORDS, whole).values
    other = WORDS.copy()
    other[0, 3] = 6
    changed = encode(Gpt2(**SMALL), other, whole).values
    np.testing.assert_array_equal(values[0, :3], changed[0, :3])
    assert np.all(np.any(values[0, 3:] != changed[0, 3:], axis=-1))


def test_an_id_that_is_no_word_is_masked():
    words = WORDS.copy()
    words[0, 1] = 20
    mask = MASK.copy()
    mask[0, 1] = False
    given, expected = encode(Gpt2(**SMALL), words), encode(Gpt2(**SMALL), WORDS, mask)
    np.testing.assert_array_equal(given.mask, mask)
    np.testing.assert_array_equal(given.values, expected.values)


def test_the_last_word_can_stand_for_the_text():
    each, last = encode(Gpt2(**SMALL)), encode(Gpt2(**SMALL, pooling="last"))
    np.testing.assert_allclose(last.values[:, 0], each.values[[0, 1], [3, 5]], rtol=1e-6)


def test_dropout_acts_in_training_alone():
    kept, module = encode(Gpt2(**SMALL)), Gpt2(**SMALL, dropout=0.5)
    np.testing.assert_array_equal(encode(module).values, kept.values)
    assert np.any(encode(module, train=True).values != kept.values)


def test_a_text_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match=r"at most 6 words, padding counted, got 7; shorten"):
        shapes(Gpt2(**SMALL), np.zeros((1, 7), np.int32), np.zeros((1, 7), bool))
