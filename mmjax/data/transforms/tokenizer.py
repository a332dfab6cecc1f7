"""Tokenizers: loaded from published models, and used."""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tokenizers import (
    Encoding,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from mmjax.errors import UserError
from mmjax.io.safe_open import read_file

Kind = Literal["words", "bpe", "wordpiece"]

PAD, UNKNOWN = "<pad>", "<unk>"  # words 0 and 1 of a tokenizer that is trained here
ENDS = ("<|endoftext|>", "</s>", "[SEP]", PAD)  # words that end a text, the first that there is
BYTE_LIMIT = 50_000_000  # of a file; the largest multilingual tokenizers have 35 MB
GROWTH_LIMIT = 1000  # letters that a normalizer may make of one; Unicode's own make up to 18


def printable(text: str) -> str:
    """Replace lone surrogates (undecodable bytes of a command line): the library fails on them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def load(path: str | os.PathLike[str]) -> str:
    """The JSON of a published tokenizer: a `tokenizer.json`, or BERT's `vocab.txt`.

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: it has another name, is damaged or larger than `BYTE_LIMIT`.
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
    """The tokenizer of a JSON text, without its padding, truncation, dropout and added words.

    Raises:
        UserError: the text is not the JSON of a tokenizer, or fails on unknown words.
    """
    with _library_errors("expected the JSON of a tokenizer, got"):
        state = json.loads(text)
        state["padding"] = state["truncation"] = None
        if state["model"].get("dropout"):
            state["model"]["dropout"] = None
        if _growth(state.get("normalizer")) > GROWTH_LIMIT:
            raise UserError(f"a normalizer that makes more than {GROWTH_LIMIT} letters of one")
        tokenizer = Tokenizer.from_str(json.dumps(state))
        tokenizer.encode_special_tokens = True
        # No vocabulary has these words: a tokenizer without its own unknown word fails here.
        ids = tokenizer.encode("\ue000 a \U0010ffff").ids
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if not 0 <= largest < 2**31 or max(ids, default=0) > largest:
        raise UserError("expected words with numbers below 2**31, all in the vocabulary")
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> Encoding:
    """Encode a text without special words; a UserError where the tokenizer fails.

    Blanks alone are an empty text, though bytes encode them.
    """
    text = printable(text)
    text = text if text.strip() else ""
    with _library_errors(f"the run's tokenizer fails on {text!r:.60}:"):
        return tokenizer.encode(text, add_special_tokens=False)


def unknown(tokenizer: Tokenizer) -> int | None:
    """The number of the unknown word; None if there is none, as in byte pair encodings of bytes.

    CLIP's "<|endoftext|>" ends every text, so it is not counted as unknown.
    """
    model = json.loads(tokenizer.to_str())["model"]
    number = model.get("unk_id")
    if model.get("unk_token") is not None:
        number = tokenizer.token_to_id(model["unk_token"])
    return None if number in tokenizer.encode("").ids else number


def end(tokenizer: Tokenizer) -> int:
    """The number of the word that ends a text: the tokenizer's own, or else its padding.

    Raises:
        UserError: the tokenizer has none.
    """
    added = tokenizer.encode("").ids
    if added:
        return added[-1]
    for word in ENDS:
        if (number := tokenizer.token_to_id(word)) is not None:
            return number
    raise UserError(f"tokenizer: expected a word that ends a text, such as {', '.join(ENDS)}")


@contextlib.contextmanager
def _library_errors(expected: str) -> Iterator[None]:
    """Every error becomes a UserError: the library raises plain Exceptions and Rust's panics."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise UserError(f"{expected} {error!r:.500}") from error


def _growth(normalizer: Any) -> int:
    """How many letters a normalizer can make of one; those in a sequence multiply."""
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


def _bert(words: list[str]) -> Tokenizer:
    """Cased if a word without brackets has a capital letter, as in BERT's own two vocabularies."""
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
