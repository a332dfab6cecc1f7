import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmjax.data.transforms import tokenizer as tokenization
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.tokenizer import load, parse, unknown
from mmjax.data.transforms.tokenizer_training import train
from tests.data.transforms.tokenizers import BERT_WORDS, bert_json, gpt2_json

_TEXTS = ["this is a seven", "This is a 7", "an ankle boot, grey", "seventy-seven boots"]
_PROGRAM = """
import random, sys
from mmjax.data.datasets.digits_match import DIGIT_CAPTIONS
from mmjax.data.transforms.tokenizer_training import train
texts = [text + ", or isn't it? " + text[::-1] for texts in DIGIT_CAPTIONS for text in texts]
random.Random(int(sys.argv[1])).shuffle(texts)
for kind, size in (("words", 60), ("bpe", 320), ("wordpiece", 150)):
    print(train(texts, kind=kind, vocabulary_size=size))
"""


def test_processes_and_orders_of_the_texts_agree_on_the_last_letter():
    found = [
        subprocess.check_output([sys.executable, "-c", _PROGRAM, str(seed)]) for seed in range(3)
    ]
    assert found[0] == found[1] == found[2]
    sizes = [len(json.loads(line)["model"]["vocab"]) for line in found[0].splitlines()]
    assert sizes == [60, 320, 150]


@pytest.mark.parametrize("kind", ["words", "bpe", "wordpiece"])
def test_padding_is_word_0_and_the_unknown_word_is_word_1(kind):
    trained = train(_TEXTS, kind=kind, vocabulary_size=300)
    assert json.loads(trained)["added_tokens"] == []  # whoever else reads it finds none, either
    tokenizer = parse(trained)
    assert tokenizer.id_to_token(0) == "<pad>" and tokenizer.id_to_token(1) == "<unk>"
    assert unknown(tokenizer) == 1
    typed = tokenizer.encode("<pad> <unk> seven").ids
    assert 0 not in typed and typed[-1] == tokenizer.encode("seven").ids[-1]


def test_frequent_words_stay_whole_and_others_are_parts():
    bpe = parse(train(["seven"] * 9 + ["boot"], kind="bpe", vocabulary_size=263))
    assert bpe.encode("Seven").tokens == ["\u0120seven"]
    assert bpe.encode("  a  seven ").tokens == ["\u0120", "a", "\u0120seven"]
    assert len(bpe.encode("boot").tokens) > 2
    wordpiece = parse(train(["sevens"] * 9 + ["eve"], kind="wordpiece", vocabulary_size=18))
    assert wordpiece.encode("sevens").tokens == ["sevens"]
    assert wordpiece.encode("even").tokens == ["eve", "##n"]
    assert wordpiece.encode("\u4e00 seven").ids[0] == 1


def test_bytes_know_every_text():
    tokenizer = parse(train(["a"], kind="bpe", vocabulary_size=258))
    for text in ("\u4e00\u0301", "\U0001f600", "<unk>", "\x00"):
        assert 1 not in tokenizer.encode(text).ids


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("words", 1, "expected at least 2, got 1"),
        ("bpe", 257, "expected at least 258, got 257"),
        ("wordpiece", 1, "expected at least 2, got 1"),
        ("wordpiece", 4, "expected at least 5, the letters of the training texts, got 4"),
    ],
)
def test_a_vocabulary_that_holds_too_little_is_refused(kind, size, message):
    with pytest.raises(ValueError, match=f"vocabulary_size: {message}"):
        train(["abb"], kind=kind, vocabulary_size=size)


def test_settings_of_a_published_tokenizer_are_switched_off():
    tokenizer = parse(bert_json())
    assert tokenizer.padding is None and tokenizer.truncation is None
    assert tokenizer.encode("hello worlds hello").tokens == [
        *("[CLS]", "hello", "world", "##s", "hello", "[SEP]")
    ]
    state = json.loads(gpt2_json())
    state["model"]["dropout"] = 0.9
    noisy = parse(json.dumps(state))
    assert len({tuple(noisy.encode("hello hello worlds").ids) for _ in range(20)}) == 1


def test_special_words_that_somebody_types_are_ordinary():
    assert parse(bert_json()).encode("[SEP]", add_special_tokens=False).ids == [2, 2, 2]


def test_which_word_is_unknown_comes_from_the_tokenizer():
    assert unknown(parse(bert_json())) == 2
    assert unknown(parse(gpt2_json())) is None
    unigram = {"type": "Unigram", "unk_id": 1, "vocab": [["a", -1.0], ["?", 0.0]]}
    assert unknown(parse(json.dumps({"version": "1.0", "added_tokens": [], "model": unigram}))) == 1
    # CLIP names the mark that ends every text its unknown word.
    ends = {"type": "BertProcessing", "sep": ["[UNK]", 2], "cls": ["[CLS]", 3]}
    assert unknown(parse(bert_json(post_processor=ends))) is None


def _vocabulary(tmp_path, words, ending="\n"):
    path = tmp_path / "vocab.txt"
    path.write_bytes("".join(word + ending for word in words).encode())
    return path


def test_a_json_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "tokenizer.json").write_text(bert_json())
    assert load(tmp_path / "tokenizer.json") == bert_json()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_list_of_words_is_read_as_bert_reads_it(tmp_path, ending):
    found = parse(load(_vocabulary(tmp_path, [*BERT_WORDS, "caf\u00e9", "cafe"], ending)))
    expected = parse(bert_json())
    for text in ("hello worlds", "HELLO", "w\u00f6rld!", "\u4e00hello", ""):
        assert found.encode(text).ids == expected.encode(text).ids
    assert found.encode("Caf\u00e9").tokens[1] == "cafe"  # without its accent, as BERT does


def test_a_list_with_capitals_is_cased(tmp_path):
    found = parse(load(_vocabulary(tmp_path, [*BERT_WORDS, "Hello"])))
    assert found.encode("Hello hello HELLO").tokens[1:-1] == ["Hello", "hello", "[UNK]"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"", "expected the JSON of a tokenizer"),
        ("tokenizer.json", b"{}", "expected the JSON of a tokenizer"),
        ("tokenizer.json", b"[1]", "expected the JSON of a tokenizer"),
        ("tokenizer.json", b"\xff\xfe", "'utf-8' codec can't decode"),
        ("tokenizer.json", b'{"model": {"vocab": {"a": 0}}}', "expected the JSON of a tokenizer"),
        ("tokenizer.json", bert_json().encode()[:-20], "expected the JSON of a tokenizer"),
        ("tokenizer.json", bert_json().replace("world", "\\ud800").encode(), "expected the JSON"),
        ("vocab.txt", b"", r"got none for \[UNK\], \[CLS\], \[SEP\]"),
        ("vocab.txt", b"[UNK]\n[SEP]\na\n", r"got none for \[CLS\]"),
        ("vocab.txt", b"[UNK]\n[CLS]\n[SEP]\na\nb\na\n", "expected different words, got 'a' twice"),
        ("vocab.txt", b"\x80", "'utf-8' codec can't decode"),
        ("vocab.txt", b"[" * 100_000, "got none for"),
    ],
)
def test_a_damaged_or_foreign_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: expected a tokenizer\.json or .*{message}"):
        load(tmp_path / name)


def test_a_file_of_another_name_or_none_at_all_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"merges\.csv: expected .*, got another name"):
        load(tmp_path / "merges.csv")
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt: expected .*, got no file at all"):
        load(tmp_path / "vocab.txt")
    monkeypatch.setattr(tokenization, "BYTE_LIMIT", 10)
    with pytest.raises(ValueError, match=r"vocab\.txt: expected .* of at most 10 bytes"):
        load(_vocabulary(tmp_path, BERT_WORDS))


def _template(ids):
    parts = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}]
    parts += [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    special = {"[CLS]": {"id": "[CLS]", "ids": ids, "tokens": ["[CLS]"] * len(ids)}}
    return {
        "type": "TemplateProcessing",
        "single": parts[:2],
        "pair": parts[1:],
        "special_tokens": special if ids else {},
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"post_processor": _template([])},  # the library panics
        {"post_processor": _template([2**32 - 1])},
        {"post_processor": _template([99])},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},  # panics, too
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"}},
        {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"}},
        {"model": {"type": "WordLevel", "vocab": {"a": 2**31}, "unk_token": "a"}},
        {"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": []},
        {"model": None},
        {"model": [1]},
    ],
)
def test_a_tokenizer_that_would_fail_on_a_text_is_refused_before(changes):
    with pytest.raises(ValueError, match="expected"):
        parse(bert_json(**changes))


def test_a_tokenizer_that_multiplies_what_it_reads_is_refused():
    state = json.loads(train(["a cup"], kind="words", vocabulary_size=9))
    doubled = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    for count, refused in ((9, False), (10, True), (60, True)):
        state["normalizer"] = {"type": "Sequence", "normalizers": [doubled] * count}
        if refused:
            with pytest.raises(ValueError, match="more than 1000 letters of one"):
                parse(json.dumps(state))
        else:
            parse(json.dumps(state))
    state["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFKC"}, doubled] * 2}
    with pytest.raises(ValueError, match="more than 1000 letters of one"):
        parse(json.dumps(state))


def test_a_text_on_which_a_tokenizer_fails_is_an_error():
    state = json.loads(train(["a cup"], kind="words", vocabulary_size=9))
    endless = {"Regex": "(a+)+$"}
    options = {"type": "Split", "pattern": endless, "behavior": "Isolated", "invert": False}
    transform = TextTransform(max_words=9, tokenizer=json.dumps(state | {"pre_tokenizer": options}))
    assert transform.read("a cup", Path()) == "a cup"
    with pytest.raises(ValueError, match=r"tokenizer fails on 'aaaa.*retry-limit"):
        transform.read("a" * 5000 + "!", Path())
