"""Texts as rows of word numbers."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from mmjax.types import Input

PAD, UNKNOWN = 0, 1  # word numbers, the same in every vocabulary
_SPECIAL = ("<pad>", "<unk>")
_CACHED_TEXTS = 65_536


@dataclass(frozen=True)
class TextTransform:
    """Lower-case words and punctuation marks, numbered by how often the training texts have them.

    The two special words are no words of any text: typed by somebody, "<pad>" is three words,
    "<", "pad" and ">".
    """

    max_words: int  # longer texts are cut
    tokenizer: str  # JSON of the `tokenizers` library

    def __post_init__(self):
        if not isinstance(self.max_words, int) or self.max_words < 1:
            raise ValueError(f"max_words: expected at least 1, got {self.max_words!r}")
        try:
            vocabulary = self._tokenizer.get_vocab()
        except Exception as error:  # the library raises no narrower class
            raise ValueError(f"tokenizer: expected the JSON of a tokenizer, got {error}") from error
        if [vocabulary.get(word) for word in _SPECIAL] != [PAD, UNKNOWN]:
            raise ValueError(
                f"tokenizer: expected {_SPECIAL[0]} to be word {PAD} and {_SPECIAL[1]} to be word "
                f"{UNKNOWN}, got {[vocabulary.get(word) for word in _SPECIAL]}"
            )

    @classmethod
    def fit(cls, texts: Iterable[str], *, vocabulary_size: int, max_words: int) -> "TextTransform":
        """The most frequent words of the training texts, ties in alphabetical order.

        `vocabulary_size` is an upper bound and counts the two special words.
        """
        if vocabulary_size < len(_SPECIAL):
            raise ValueError(
                f"vocabulary_size: expected at least {len(_SPECIAL)}, got {vocabulary_size}"
            )
        # In this order: a small letter may have a composed form that its capital lacks.
        normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.NFC()])
        splitter = pre_tokenizers.Whitespace()  # runs of letters and digits, runs of the rest
        counts: Counter[str] = Counter()
        for text in texts:
            pieces = splitter.pre_tokenize_str(normalizer.normalize_str(_printable(text)))
            counts.update(word for word, _ in pieces)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        words = [*_SPECIAL, *ranked[: vocabulary_size - len(_SPECIAL)]]
        numbers = {word: number for number, word in enumerate(words)}
        tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=_SPECIAL[UNKNOWN]))
        tokenizer.normalizer = normalizer  # pyright: ignore[reportAttributeAccessIssue]
        tokenizer.pre_tokenizer = splitter  # pyright: ignore[reportAttributeAccessIssue]
        return cls(max_words=max_words, tokenizer=json.dumps(json.loads(tokenizer.to_str())))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_str(self.tokenizer)

    @cached_property
    def _rows(self) -> dict[str, np.ndarray]:
        """Distinct texts are few in many data sets, and looking one up is 8 times as fast."""
        return {}

    @property
    def vocabulary_size(self) -> int:
        """How many word numbers there are, the two special ones included."""
        return self._tokenizer.get_vocab_size()

    def vocabulary(self) -> list[str]:
        """The words, in the order of their numbers."""
        vocabulary = self._tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    def words(self, text: str) -> int:
        """The number of words before any cut: more than `max_words` means that some are lost."""
        return len(self._tokenizer.encode(_printable(text)).ids)

    def __call__(self, texts: Sequence | np.ndarray) -> Input:
        """Word numbers [b, max_words] and their mask; a row is a string or, where missing, None."""
        for row, text in enumerate(texts):
            if text is not None and not isinstance(text, str):
                raise ValueError(f"text in row {row}: expected a string, got {text!r}")
        rows = [self._row(text or "") for text in texts]
        values = np.stack(rows) if rows else np.zeros((0, self.max_words), np.int32)
        return Input(values, values != PAD)

    def _row(self, text: str) -> np.ndarray:
        row = self._rows.get(text)
        if row is None:
            ids = self._tokenizer.encode(_printable(text)).ids[: self.max_words]
            row = np.full(self.max_words, PAD, np.int32)
            row[: len(ids)] = ids
            if len(self._rows) >= _CACHED_TEXTS:
                self._rows.clear()
            self._rows[text] = row
        return row


def _printable(text: str) -> str:
    """Undecodable bytes of a command line are lone surrogates, on which the tokenizer fails."""
    return text.encode("utf-8", "replace").decode("utf-8")
