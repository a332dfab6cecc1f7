"""Tokenizers: trained on captions without a network, or taken from a published model.

Byte pair encoding: Sennrich et al. 2016, arXiv:1508.07909, over bytes as in GPT-2.
WordPiece: Schuster and Nakajima 2012, as BERT reads it, arXiv:1810.04805.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from tokenizers import (
    Encoding,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from mmjax.errors import UserError
from mmjax.io.safe_open import read_file

Kind = Literal["words", "bpe", "wordpiece"]

PAD, UNKNOWN = "<pad>", "<unk>"  # numbers 0 and 1 of what is trained here
BYTE_LIMIT = 50_000_000  # of a file; those of the largest multilingual models have 35 MB
# In JSON, where three bytes of brackets take a hundred of memory; theirs are 600,000 merges.
BRACKET_LIMIT = 3_000_000
# How many letters one may become before it is read; Unicode's own compositions reach 18.
GROWTH_LIMIT = 1000


def train(texts: Iterable[str], *, kind: Kind, vocabulary_size: int) -> str:
    """The JSON of a tokenizer of lower-case texts: the same for the same texts in any order.

    words: the most frequent words, ties in alphabetical order. bpe: of bytes, 256 of which are
    always there, so that nothing is unknown. wordpiece: parts of words, "##" before inner ones.
    `vocabulary_size` is an upper bound and counts the two special words.
    """
    least = 258 if kind == "bpe" else 2
    if vocabulary_size < least:
        raise UserError(f"vocabulary_size: expected at least {least}, got {vocabulary_size}")
    tokenizer = {"words": _words, "bpe": _bpe, "wordpiece": _wordpiece}[kind](
        [printable(text) for text in texts], vocabulary_size
    )
    state = json.loads(tokenizer.to_str())
    # Special words would be found in texts: typed by somebody, "<pad>" is an ordinary text.
    state["added_tokens"] = []
    if len(state["model"]["vocab"]) > vocabulary_size:
        raise UserError(
            f"vocabulary_size: expected at least {len(state['model']['vocab'])}, "
            f"the letters of the training texts, got {vocabulary_size}"
        )
    return json.dumps(state)


def printable(text: str) -> str:
    """Undecodable bytes of a command line are lone surrogates, on which the library fails."""
    return text.encode("utf-8", "replace").decode("utf-8")


def load(path: str | os.PathLike[str]) -> str:
    """The JSON of a published tokenizer: a `tokenizer.json`, or BERT's `vocab.txt`, line by line.

    Raises:
        UserError: the file is none of both, or damaged.
    """
    path = Path(path)
    expected = f"{path}: expected a tokenizer.json or a vocab.txt"
    if path.suffix not in (".json", ".txt"):
        raise UserError(f"{expected}, got another name")
    content = read_file(path, expected, BYTE_LIMIT)
    try:
        text = content.decode("utf-8-sig")
        if path.suffix == ".txt":
            return _bert(text.removesuffix("\n").split("\n")).to_str()
        parse(text)
    except ValueError as error:
        raise UserError(f"{expected}, got a damaged or foreign file: {error}") from error
    return text


def parse(text: str) -> Tokenizer:
    """The tokenizer of this JSON, without the padding, the cuts and the dropout that it asks for.

    Its special words are not looked for in texts. UserError for anything else.
    """
    try:
        if text.count("[") + text.count("{") > BRACKET_LIMIT:
            raise UserError(f"more than {BRACKET_LIMIT:,} brackets")
        state = json.loads(text)
        state["padding"] = state["truncation"] = None
        if state["model"].get("dropout"):
            state["model"]["dropout"] = None
        if _growth(state.get("normalizer")) > GROWTH_LIMIT:
            raise UserError(f"a normalizer that makes more than {GROWTH_LIMIT} letters of one")
        tokenizer = Tokenizer.from_str(json.dumps(state))
        tokenizer.encode_special_tokens = True
        # Words that no vocabulary has: a tokenizer without its own unknown word fails here.
        ids = tokenizer.encode("\ue000 a \U0010ffff").ids
    except BaseException as error:  # the library raises no narrower class, and Rust's panics
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise UserError(f"expected the JSON of a tokenizer, got {error!r:.500}") from error
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if not 0 <= largest < 2**31 or max(ids, default=0) > largest:
        raise UserError("expected words with numbers below 2**31, all in the vocabulary")
    return tokenizer


def _growth(normalizer: Any) -> int:
    """How many letters one letter can become: replacements in a row multiply."""
    if not isinstance(normalizer, dict):
        return 1
    match normalizer.get("type"):
        case "Sequence":
            return math.prod(map(_growth, normalizer["normalizers"]))
        case "Replace":
            return max(len(normalizer["content"]), 1)
        case "NFKC" | "NFKD" | "Precompiled":
            return 18
    return 1


def encode(tokenizer: Tokenizer, text: str) -> Encoding:
    """Without special words.

    Raises:
        UserError: the tokenizer fails on this text, as expressions that take for ever do.
    """
    try:
        return tokenizer.encode(text, add_special_tokens=False)
    except BaseException as error:  # as in `parse`
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise UserError(f"the run's tokenizer fails on {text!r:.60}: {error!r:.200}") from error


def unknown(tokenizer: Tokenizer) -> int | None:
    """The number of the unknown word; None where there is none, as in byte pair encodings of bytes.

    Nor is it one where every text begins or ends with it, as with CLIP's "<|endoftext|>".
    """
    model = json.loads(tokenizer.to_str())["model"]
    number = model.get("unk_id")
    if model.get("unk_token") is not None:
        number = tokenizer.token_to_id(model["unk_token"])
    return None if number in tokenizer.encode("").ids else number


# In this order: a small letter may have a composed form that its capital lacks.
_LOWER = [normalizers.Lowercase(), normalizers.NFC()]


def _new(model: models.Model, splitter: pre_tokenizers.PreTokenizer, *more) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([*_LOWER, *more])
    tokenizer.pre_tokenizer = splitter
    return tokenizer


def _counts(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[str]:
    return Counter(
        word
        for text in texts
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(
            tokenizer.normalizer.normalize_str(text)
        )
    )


def _words(texts: list[str], vocabulary_size: int) -> Tokenizer:
    splitter = pre_tokenizers.Whitespace()  # runs of letters and digits, runs of the rest
    counts = _counts(_new(models.WordLevel(), splitter), texts)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    words = [PAD, UNKNOWN, *ranked[: vocabulary_size - 2]]
    numbers = {word: number for number, word in enumerate(words)}
    return _new(models.WordLevel(numbers, unk_token=UNKNOWN), splitter)


def _bpe(texts: list[str], vocabulary_size: int) -> Tokenizer:
    # A space belongs to the word after it: without these, "a  7 " would not be read as "a 7".
    spaces = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer = _new(models.BPE(unk_token=UNKNOWN), splitter, *spaces)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[PAD, UNKNOWN],
        initial_alphabet=sorted(splitter.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _wordpiece(texts: list[str], vocabulary_size: int) -> Tokenizer:
    tokenizer = _new(models.WordPiece(unk_token=UNKNOWN), pre_tokenizers.Whitespace())
    words = _counts(tokenizer, texts)
    # The library numbers inner letters in the order of a hash table, another one in every process,
    # and the numbers decide ties. Special words come first, in the order in which they are given.
    letters = sorted({letter for word in words for letter in word})
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[PAD, UNKNOWN, *letters, *inner],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _bert(words: list[str]) -> Tokenizer:
    """Cased where a word that is not in brackets has a capital letter, as in BERT's own two."""
    words = [word.removesuffix("\r") for word in words]
    numbers = {word: number for number, word in enumerate(words)}
    if len(numbers) < len(words):
        twice = next(word for number, word in enumerate(words) if numbers[word] != number)
        raise UserError(f"expected different words, got {twice!r} twice")
    absent = [word for word in ("[UNK]", "[CLS]", "[SEP]") if word not in numbers]
    if absent:
        raise UserError(f"expected a line for each word, got none for {', '.join(absent)}")
    lower = all(word == word.lower() for word in words if not word.startswith("["))
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", numbers["[SEP]"]), ("[CLS]", numbers["[CLS]"])
    )
    return tokenizer
