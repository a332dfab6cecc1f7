"""Texts as targets: ends, cuts, unknown words, and tokenizers of every kind."""

import json

import numpy as np
import pytest

from mmjax.data.targets import Text
from mmjax.errors import UserError
from tests.data.transforms.tokenizers import bert_json, gpt2_json

TEXTS = ["a red apple", "the red car, and a bird", "a bird"]


@pytest.mark.parametrize("tokens", ["words", "bpe", "wordpiece"])
def test_a_text_comes_back_from_its_words(tokens):
    kind = Text.fit(TEXTS, tokens=tokens, vocabulary_size=400)
    found = kind(TEXTS)
    assert kind.end == 0 and kind.unknown == 1
    for text, words, mask in zip(TEXTS, found.values, found.mask, strict=True):
        assert words[mask][-1] == kind.end and kind.end not in words[mask][:-1]
        assert kind.decoded(words).replace(" ,", ",") == text
    assert found.mask.all(axis=1).any()  # as long as the longest


def test_a_text_that_is_cut_has_no_end_and_is_remarked():
    kind = Text.fit(TEXTS, max_words=3)
    found = kind(["a red apple", "a bird", ""])
    assert [kind.decoded(row) for row in found.values] == ["a red apple", "a bird", ""]
    assert kind.end not in found.values[0] and found.values[1, 2] == kind.end
    assert found.mask.sum(axis=1).tolist() == [3, 3, 1]
    kinds = {
        text: [one.kind for one in kind.remarks(text)] for text in ("a red apple", "a bird", "")
    }
    assert kinds == {"a red apple": ["cut"], "a bird": [], "": ["empty"]}


def test_an_unknown_word_is_shown_as_one_sign():
    kind = Text.fit(TEXTS)
    assert kind.decoded(kind(["a blue bird"]).values[0]) == "a \ufffd bird"
    assert [str(one) for one in kind.remarks("a blue bird")] == ["1 of 3 words unknown"]


def test_published_tokenizers_end_with_their_own_word():
    bert = Text(8, bert_json())
    assert bert.end == 4 and bert.unknown == 2  # [SEP], [UNK]
    assert bert.decoded(bert(["hello world"]).values[0]) == "hello world"
    with pytest.raises(UserError, match="expected a word that ends a text"):
        Text(8, gpt2_json())
    state = json.loads(gpt2_json())
    state["model"]["vocab"]["<|endoftext|>"] = len(state["model"]["vocab"])
    gpt2 = Text(8, json.dumps(state))
    assert gpt2.end == len(state["model"]["vocab"]) - 1 and gpt2.unknown is None
    assert gpt2.decoded(gpt2(["hello worlds"]).values[0]) == "hello worlds"


def test_what_is_no_text_is_named():
    kind = Text.fit(TEXTS)
    with pytest.raises(UserError, match="row 1: expected a string, got 3"):
        kind(["a", 3])
    with pytest.raises(UserError, match="max_words: expected 1 to"):
        Text(0, kind.tokenizer)
    assert np.array_equal(kind([None]).mask, np.zeros((1, kind.max_words), bool))
