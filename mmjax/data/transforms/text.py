"""Texts as rows of word numbers."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tokenizers import Encoding, Tokenizer

from mmjax.data.transforms import tokenizer as tokenization
from mmjax.data.transforms.tokenizer import Kind
from mmjax.data.transforms.tokenizer_training import Training
from mmjax.data.transforms.transform import Remark, Transform, stack_rows
from mmjax.errors import UserError
from mmjax.types import Masked

WORD_LIMIT = 1_000_000  # of one row; more would fill the memory
CACHED_TEXTS = 65_536


@dataclass(frozen=True)
class TextTransform(Transform):
    """Numbers of words, or of parts of words, between the tokenizer's special words.

    Special words are never found in a text: a typed "<pad>" is read as "<", "pad", ">".
    """

    padded: ClassVar[bool] = True
    max_words: int  # longer texts are cut; special words count
    tokenizer: str  # JSON of the `tokenizers` library

    def __post_init__(self):
        if not isinstance(self.max_words, int) or not 1 <= self.max_words <= WORD_LIMIT:
            raise UserError(f"max_words: expected 1 to {WORD_LIMIT:,}, got {self.max_words!r}")
        try:
            room = self._room
        except ValueError as error:
            raise UserError(f"tokenizer: {error}") from error
        if room < 1:
            raise UserError(
                f"max_words: expected more than the {self.max_words - room} special words that "
                f"the tokenizer adds to each text, got {self.max_words}"
            )

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        *,
        vocabulary_size: int,
        max_words: int,
        tokens: Kind = "words",
    ) -> "TextTransform":
        """Train a tokenizer on the training texts; word 0 is the padding, word 1 is unknown.

        `vocabulary_size` is an upper bound and counts both. `max_words`: 0, as many as the longest
        text has.
        """
        fitting = TextFit(vocabulary_size, max_words, tokens)
        for text in texts:
            fitting.add(text)
        return fitting.result()

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_words: int) -> "TextTransform":
        """Use a published tokenizer: a `tokenizer.json`, or BERT's `vocab.txt`."""
        return cls(max_words=max_words, tokenizer=tokenization.load(path))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return tokenization.parse(self.tokenizer)

    @cached_property
    def _room(self) -> int:
        """The number of words of a text that are read, without the special ones."""
        return self.max_words - self._tokenizer.num_special_tokens_to_add(False)

    @cached_property
    def _rows(self) -> dict[str, np.ndarray]:
        """A cache: many data sets repeat their texts, and a look-up is 8 times as fast."""
        return {}

    @property
    def vocabulary_size(self) -> int:
        """An upper bound of the word numbers, exclusive."""
        return 1 + max(self._tokenizer.get_vocab().values())

    @cached_property
    def unknown(self) -> int | None:
        """The number of the unknown word; None if the tokenizer has none."""
        return tokenization.unknown(self._tokenizer)

    @cached_property
    def special(self) -> tuple[int, ...]:
        """The numbers of the special words that begin and end a text."""
        return tuple(sorted(set(self._tokenizer.encode("").ids)))

    def vocabulary(self) -> list[str]:
        """The words, ordered by their numbers."""
        vocabulary = self._tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    def words(self, text: str) -> int:
        """The number of words of a text, without special words and before it is cut."""
        return len(self._encoded(text))

    def known(self, text: str) -> int:
        """The number of words of a text, before it is cut, that are not the unknown word."""
        return sum(number != self.unknown for number in self._encoded(text).ids)

    def __call__(self, texts: Sequence | np.ndarray) -> Masked:
        """Word numbers int32 `[b, max_words]` and mask `[b, max_words]`, padded at the end.

        A row is a string or None. A text without words is a missing one.
        """
        shape = (self.max_words,)
        return Masked(*stack_rows("text", texts, shape, self._ids, padded=True, dtype=np.int32))

    def read(self, cell: Any, folder: Path) -> str:
        """The text itself, after checking that the tokenizer can read it."""
        text = cell if isinstance(cell, str) else str(cell)
        self._encoded(text)
        return text

    def remarks(self, row: Any) -> list[Remark]:
        """Cut, empty or with unknown words."""
        encoded = self._encoded(row)
        remarks = []
        if len(encoded) > self._room:
            text = f"{len(encoded)} words, only the first {self._room} were read"
            remarks.append(Remark("cut", text))
        if len(encoded) == 0:
            remarks.append(Remark("empty", "empty"))
        read = encoded.ids[: self._room]
        if self.unknown in read:
            text = f"{read.count(self.unknown)} of {len(read)} words unknown"
            remarks.append(Remark("unknown", text))
        return remarks

    def _encoded(self, text: str) -> Encoding:
        """Without special words."""
        return tokenization.encode(self._tokenizer, text)

    def _ids(self, text: Any) -> np.ndarray:
        if not isinstance(text, str):
            raise UserError(f"expected a string, got {text!r}")
        ids = self._rows.get(text)
        if ids is None:
            encoded = self._encoded(text)
            if len(encoded):
                encoded.truncate(self._room)
                encoded = self._tokenizer.post_process(encoded)
            ids = np.array(encoded.ids, np.int32)
            if len(self._rows) >= CACHED_TEXTS:
                self._rows.clear()
            self._rows[text] = ids
        return ids


class TextFit:
    """Collects what `TextTransform` needs from texts that are added one by one."""

    def __init__(self, vocabulary_size: int, max_words: int, tokens: Kind) -> None:
        """`vocabulary_size` and `max_words` are upper bounds; 0 words: of the longest text."""
        self._max_words = max_words
        self._training = Training(tokens, vocabulary_size)

    def add(self, text: str | None) -> None:
        """Add a text."""
        if text is not None:
            self._training.add(text)

    def result(self) -> TextTransform:
        """The transform with the trained tokenizer."""
        tokenizer, longest = self._training.result()
        return TextTransform(self._max_words or max(longest, 1), tokenizer)
