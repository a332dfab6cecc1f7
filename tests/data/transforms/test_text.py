import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmjax.data.transforms.text import TextTransform
from tests.data.transforms.tokenizers import bert_json, gpt2_json

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
    assert result.values[0, 4] == 0


def test_composed_and_decomposed_accents_are_one_word():
    transform = TextTransform.fit(["caf\u00e9"], vocabulary_size=9, max_words=3)
    assert _words(transform, "cafe\u0301") == ["caf\u00e9"]
    line_below = TextTransform.fit(["H\u0331"], vocabulary_size=9, max_words=3)
    assert _words(line_below, "\u1e96") == ["\u1e96"]


@pytest.mark.parametrize("text", ["", "   ", None])
def test_an_empty_or_missing_text_has_no_words(transform, text):
    result = transform([text, "a boot"])
    assert not result.mask[0].any()
    assert (result.values[0] == 0).all()
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
    assert not np.isin(result.values[0][result.mask[0]], (0, transform.unknown)).any()


def test_undecodable_bytes_are_an_unknown_word(transform):
    assert _words(transform, "a \udcff boot") == ["a", "<unk>", "boot"]


def test_a_row_that_is_no_string_is_refused(transform):
    with pytest.raises(ValueError, match="text in row 1: expected a string, got 7"):
        transform(["seven", 7])


def test_the_result_is_a_copy_of_what_is_remembered(transform):
    transform(["a boot"]).values[:] = 99
    assert _words(transform, "a boot") == ["a", "boot"]


def test_remembered_texts_stay_few(transform, monkeypatch):
    monkeypatch.setattr("mmjax.data.transforms.text.CACHED_TEXTS", 10)
    transform([f"boot {number}" for number in range(100)])
    assert len(transform._rows) <= 10


def test_a_used_transform_can_be_pickled(transform):
    transform(["a boot"])
    assert pickle.loads(pickle.dumps(transform)) == transform


def test_impossible_fields_are_named():
    with pytest.raises(ValueError, match="max_words: expected 1 to 1,000,000, got -1"):
        TextTransform.fit(["a"], vocabulary_size=9, max_words=-1)
    with pytest.raises(ValueError, match="vocabulary_size: expected at least 2, got 1"):
        TextTransform.fit(["a"], vocabulary_size=1, max_words=3)
    with pytest.raises(ValueError, match="tokenizer: expected the JSON of a tokenizer"):
        TextTransform(max_words=3, tokenizer="{}")


def test_special_words_of_the_tokenizer_stay_when_a_text_is_cut():
    bert = TextTransform(max_words=4, tokenizer=bert_json())
    result = bert(["hello worlds hello", "world", "", "  ", None])
    assert result.values.tolist() == [[3, 6, 0, 4], [3, 0, 4, 0], *[[0] * 4] * 3]
    # The mask is that of lengths: word 0 is a word here, and the first row has no padding.
    assert result.mask.sum(axis=1).tolist() == [4, 3, 0, 0, 0]
    assert bert.words("hello worlds hello") == 4 and bert.words("") == 0
    assert bert.remarks("hello worlds hello") == ["4 words, only the first 2 were read"]
    assert bert.remarks("hello [SEP]") == ["4 words, only the first 2 were read", _OF_TWO]
    assert bert.remarks("") == ["empty"]


_OF_TWO = "1 of 2 words unknown"


def test_special_words_leave_no_room_for_a_text():
    message = "max_words: expected more than the 2 special words that the tokenizer adds .*, got 2"
    with pytest.raises(ValueError, match=message):
        TextTransform(max_words=2, tokenizer=bert_json())


def test_bytes_are_read_without_padding_and_unknown_words_of_their_own():
    gpt2 = TextTransform(max_words=8, tokenizer=gpt2_json())
    result = gpt2(["!", "hello", "\u4e00", "   "])
    assert result.values[0, 0] == 0 and result.mask[0].tolist() == [True] + [False] * 7
    assert result.mask.sum(axis=1).tolist() == [1, len(gpt2._tokenizer.encode("hello")), 3, 0]
    assert gpt2.unknown is None and gpt2.special == ()
    assert gpt2.remarks("\u4e00") == []


@pytest.mark.parametrize("tokens", ["bpe", "wordpiece"])
def test_parts_of_words_are_trained_on_the_texts(tokens):
    transform = TextTransform.fit(_TEXTS, vocabulary_size=300, max_words=9, tokens=tokens)
    result = transform(["THIS  is a seven", "", "seventh"])
    assert result.mask.sum(axis=1).tolist()[:2] == [4, 0]
    assert result.mask[2].sum() > 1
    assert transform.vocabulary_size <= 300 and result.values.max() < transform.vocabulary_size
    assert len(set(transform.vocabulary())) == transform.vocabulary_size


def test_numbers_of_words_may_have_gaps():
    transform = TextTransform(
        max_words=9, tokenizer=bert_json().replace('"hello": 6', '"hello": 60')
    )
    assert transform(["hello"]).values.max() == 60
    assert transform.vocabulary_size == 61
    assert transform.vocabulary()[-1] == "hello"


def test_a_file_is_stored_inside_the_transform(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(bert_json())
    transform = TextTransform.load(path, max_words=5)
    path.unlink()
    assert transform == TextTransform(max_words=5, tokenizer=bert_json())
    assert pickle.loads(pickle.dumps(transform))(["hello"]).values.tolist() == [[3, 6, 4, 0, 0]]


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_every_word_of_the_training_texts_comes_back(texts):
    transform = TextTransform.fit(texts, vocabulary_size=1000, max_words=60)
    result = transform(texts)
    assert not (result.values == transform.unknown).any()
    assert result.mask.sum(axis=1).tolist() == [transform.words(text) for text in texts]
    again = [" ".join(_words(transform, text)) for text in texts]
    np.testing.assert_array_equal(transform(again).values, result.values)
    assert len(set(transform.vocabulary())) == transform.vocabulary_size
