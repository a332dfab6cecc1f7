"""Training of tokenizers from the training texts.

Byte pair encoding: Sennrich et al. 2016, arXiv:1508.07909, over bytes as in GPT-2.
WordPiece: Schuster and Nakajima 2012, as in BERT, arXiv:1810.04805.
"""

import json
from collections import Counter
from collections.abc import Iterable

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from mmjax.data.transforms.tokenizer import PAD, UNKNOWN, Kind, encode, parse, printable
from mmjax.errors import UserError

LETTERS_KEPT = 100_000_000  # of the texts that "bpe" and "wordpiece" are trained with


def train(texts: Iterable[str], *, kind: Kind, vocabulary_size: int) -> str:
    """The JSON of a tokenizer of these texts; see `Training`."""
    training = Training(kind, vocabulary_size)
    for text in texts:
        training.add(text)
    return training.result()[0]


class Training:
    """Trains a tokenizer of lower-case texts; the order of the texts does not matter.

    Of "bpe" and "wordpiece" the first `LETTERS_KEPT` letters of texts are kept, of "words" only
    counts.
    """

    def __init__(self, kind: Kind, vocabulary_size: int) -> None:
        """
        Args:
            kind: "words", the most frequent words, ties in alphabetical order; "bpe", byte pair
                encoding, which always has the 256 bytes, so no text is unknown; or "wordpiece",
                parts of words, with "##" before inner parts
            vocabulary_size: upper bound, which counts the padding and the unknown word

        Raises:
            UserError: `vocabulary_size` is too small.
        """
        least = 258 if kind == "bpe" else 2
        if vocabulary_size < least:
            raise UserError(f"vocabulary_size: expected at least {least}, got {vocabulary_size}")
        self._kind, self._size = kind, vocabulary_size
        self._texts: list[str] = []
        self._letters = self._longest = 0
        self._words: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """Add a text."""
        if self._kind == "words":
            words = split_words(printable(text))
            self._longest = max(self._longest, len(words))
            self._words.update(words)
        elif self._letters < LETTERS_KEPT:
            self._texts.append(printable(text))
            self._letters += len(text)

    def result(self) -> tuple[str, int]:
        """The JSON of the tokenizer, and the number of words of the longest text.

        Raises:
            UserError: the vocabulary is too small for the letters of the texts.
        """
        if self._kind == "words":
            tokenizer = _words(self._words, self._size)
        else:
            tokenizer = {"bpe": _bpe, "wordpiece": _wordpiece}[self._kind](self._texts, self._size)
        state = json.loads(tokenizer.to_str())
        state["added_tokens"] = []  # else a typed "<pad>" would be read as the padding
        if len(state["model"]["vocab"]) > self._size:
            raise UserError(
                f"vocabulary_size: expected at least {len(state['model']['vocab'])}, "
                f"the letters of the training texts, got {self._size}"
            )
        text = json.dumps(state)
        tokenizer = parse(text)  # the trained one would still find added tokens, such as letters
        longest = max((len(encode(tokenizer, one)) for one in self._texts), default=self._longest)
        return text, longest


# In this order: a small letter may have a composed form that its capital lacks.
_LOWER = [normalizers.Lowercase(), normalizers.NFC()]


def _new(model: models.Model, splitter: pre_tokenizers.PreTokenizer, *more) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([*_LOWER, *more])
    tokenizer.pre_tokenizer = splitter
    return tokenizer


def split_words(text: str) -> list[str]:
    """Runs of letters and digits, and runs of other characters, in lower case."""
    words = _WORDS.pre_tokenizer.pre_tokenize_str(_WORDS.normalizer.normalize_str(text))
    return [word for word, _ in words]


_WORDS = _new(models.WordLevel(), pre_tokenizers.Whitespace())


def _words(counts: Counter[str], vocabulary_size: int) -> Tokenizer:
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    words = [PAD, UNKNOWN, *ranked[: vocabulary_size - 2]]
    numbers = {word: number for number, word in enumerate(words)}
    return _new(models.WordLevel(numbers, unk_token=UNKNOWN), pre_tokenizers.Whitespace())


def _bpe(texts: list[str], vocabulary_size: int) -> Tokenizer:
    # A space belongs to the word after it: without these, "a  7 " would not be read as "a 7".
    spaces = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer = _new(models.BPE(unk_token=UNKNOWN), splitter, *spaces)
    tokenizer.decoder = decoders.ByteLevel()
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
    tokenizer.decoder = decoders.WordPiece()
    words = {word for text in texts for word in split_words(text)}
    # The library numbers inner letters in the order of a hash table, which differs between
    # processes, and the numbers decide ties. Special words keep the order in which they are given.
    letters = sorted({letter for word in words for letter in word})
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[PAD, UNKNOWN, *letters, *inner],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
