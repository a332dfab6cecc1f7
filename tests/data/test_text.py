import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmjax.data.text import PAD, UNKNOWN, TextTransform

_TEXTS = ["this is a seven", "This is a 7", "an ankle boot, grey"]


@pytest.fixture
def transform():
    return TextTransform.fit(_TEXTS, vocabulary_size=100, max_words=5)


def _words(transform, text):
    result = transform([text])
    names = transform.vocabulary()
    return [names[number] for number in result.values[0][result.mask[0]]]


def test_words_are_numbered_by_frequency_then_alphabet(transform):
    expected = ["<pad>", "<unk>", "a", "is", "this", ",", "7", "an", "ankle", "boot", "grey"]
    assert transform.vocabulary() == [*expected, "seven"]
    assert transform.vocabulary_size == 12
    assert transform == TextTransform.fit(_TEXTS[::-1], vocabulary_size=100, max_words=5)


def test_vocabulary_size_is_an_upper_bound_that_keeps_the_most_frequent():
    transform = TextTransform.fit(_TEXTS, vocabulary_size=5, max_words=5)
    assert transform.vocabulary() == ["<pad>", "<unk>", "a", "is", "this"]
    assert _words(transform, "this is a boot") == ["this", "is", "a", "<unk>"]


def test_a_text_is_lower_cased_split_padded_and_masked(transform):
    result = transform(["A BOOT,grey"])
    assert result.values.dtype == np.int32
    assert result.mask.tolist() == [[True, True, True, True, False]]
    assert _words(transform, "A BOOT,grey") == ["a", "boot", ",", "grey"]
    assert result.values[0, 4] == PAD


def test_composed_and_decomposed_accents_are_one_word():
    transform = TextTransform.fit(["caf\u00e9"], vocabulary_size=9, max_words=3)
    assert _words(transform, "cafe\u0301") == ["caf\u00e9"]
    line_below = TextTransform.fit(["H\u0331"], vocabulary_size=9, max_words=3)
    assert _words(line_below, "\u1e96") == ["\u1e96"]


@pytest.mark.parametrize("text", ["", "   ", None])
def test_an_empty_or_missing_text_has_no_words(transform, text):
    result = transform([text, "a boot"])
    assert not result.mask[0].any()
    assert (result.values[0] == PAD).all()
    assert result.mask[1].sum() == 2


def test_no_texts_give_no_rows(transform):
    assert transform([]).values.shape == transform([]).mask.shape == (0, 5)


def test_a_text_of_ten_thousand_words_is_cut_and_counted(transform):
    text = "boot " * 10_000
    assert transform.words(text) == 10_000
    assert transform.words("a boot") == 2
    assert _words(transform, text) == ["boot"] * 5


@pytest.mark.parametrize("special", ["<pad>", "<unk>", "[UNK]", "<PAD>"])
def test_a_special_word_that_somebody_types_is_an_ordinary_text(special):
    transform = TextTransform.fit(["a boot", special], vocabulary_size=50, max_words=8)
    assert transform.vocabulary()[:2] == ["<pad>", "<unk>"]
    assert transform.words(special) == 3
    result = transform([f"a {special} boot"])
    assert result.mask[0].sum() == 5
    assert not np.isin(result.values[0][result.mask[0]], (PAD, UNKNOWN)).any()


def test_undecodable_bytes_are_an_unknown_word(transform):
    assert _words(transform, "a \udcff boot") == ["a", "<unk>", "boot"]


def test_a_row_that_is_no_string_is_refused(transform):
    with pytest.raises(ValueError, match="text in row 1: expected a string, got 7"):
        transform(["seven", 7])


def test_the_result_is_a_copy_of_what_is_remembered(transform):
    transform(["a boot"]).values[:] = 99
    assert _words(transform, "a boot") == ["a", "boot"]


def test_remembered_texts_stay_few(transform, monkeypatch):
    monkeypatch.setattr("mmjax.data.text._CACHED_TEXTS", 10)
    transform([f"boot {number}" for number in range(100)])
    assert len(transform._rows) <= 10


def test_a_used_transform_can_be_pickled(transform):
    transform(["a boot"])
    assert pickle.loads(pickle.dumps(transform)) == transform


def test_impossible_fields_are_named():
    with pytest.raises(ValueError, match="max_words: expected at least 1, got 0"):
        TextTransform.fit(["a"], vocabulary_size=9, max_words=0)
    with pytest.raises(ValueError, match="vocabulary_size: expected at least 2, got 1"):
        TextTransform.fit(["a"], vocabulary_size=1, max_words=3)
    with pytest.raises(ValueError, match="tokenizer: expected the JSON of a tokenizer"):
        TextTransform(max_words=3, tokenizer="{}")


def test_a_tokenizer_with_other_special_words_is_refused(transform):
    foreign = transform.tokenizer.replace("<pad>", "[PAD]")
    with pytest.raises(ValueError, match="tokenizer: expected <pad> to be word 0"):
        TextTransform(max_words=3, tokenizer=foreign)


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_every_word_of_the_training_texts_comes_back(texts):
    transform = TextTransform.fit(texts, vocabulary_size=1000, max_words=60)
    result = transform(texts)
    assert not (result.values == UNKNOWN).any()
    assert result.mask.sum(axis=1).tolist() == [transform.words(text) for text in texts]
    again = [" ".join(_words(transform, text)) for text in texts]
    np.testing.assert_array_equal(transform(again).values, result.values)
    assert len(set(transform.vocabulary())) == transform.vocabulary_size
