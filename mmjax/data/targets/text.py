"""Targets that are texts: sequences of words that a decoder learns to write."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from tokenizers import Tokenizer

from mmjax.data.targets.target import Target
from mmjax.data.transforms import tokenizer as tokenization
from mmjax.data.transforms.text import CACHED_TEXTS, WORD_LIMIT, TextFit
from mmjax.data.transforms.tokenizer import Kind
from mmjax.data.transforms.transform import Remark
from mmjax.errors import UserError
from mmjax.types import Masked


@final
@dataclass(frozen=True)
class Text(Target):
    """Numbers of words, or of parts of words; after the last one `end`.

    A text that is cut has no end: what follows is not known.
    """

    max_words: int  # longer texts are cut; the end counts
    tokenizer: str  # JSON of the `tokenizers` library

    def __post_init__(self) -> None:
        if not 1 <= self.max_words <= WORD_LIMIT:
            raise UserError(f"max_words: expected 1 to {WORD_LIMIT:,}, got {self.max_words!r}")
        _ = self.end  # a UserError where there is none

    @classmethod
    def fit(
        cls,
        rows: Iterable,
        *,
        vocabulary_size: int = 10_000,
        max_words: int = 0,
        tokens: Kind = "words",
    ) -> "Text":
        """Train a tokenizer on the training texts; see `TextTransform.fit`."""
        fitting = TextFit(vocabulary_size, max(max_words - 1, 0), tokens)
        for row in rows:
            fitting.add(row)
        transform = fitting.result()
        return cls(transform.max_words + 1, transform.tokenizer)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return tokenization.parse(self.tokenizer)

    @cached_property
    def _words(self) -> dict[str, list[int]]:
        """A cache: every epoch reads the same texts."""
        return {}

    @cached_property
    def end(self) -> int:
        """The word that begins and ends a text."""
        return tokenization.end(self._tokenizer)

    @cached_property
    def unknown(self) -> int | None:
        """The number of the unknown word; None if the tokenizer has none."""
        return tokenization.unknown(self._tokenizer)

    @property
    def vocabulary_size(self) -> int:
        """An upper bound of the word numbers, exclusive."""
        return 1 + max(self._tokenizer.get_vocab().values())

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Word numbers int32 `[b, max_words]` and their mask; a row is a string or None."""
        values = np.zeros((len(rows), self.max_words), np.int32)
        lengths = np.zeros(len(rows), int)
        for i, row in enumerate(rows):
            if row is None:
                continue
            if not isinstance(row, str):
                raise UserError(f"row {i}: expected a string, got {row!r:.60}")
            words = [*self.encoded(row), self.end][: self.max_words]
            values[i, : len(words)], lengths[i] = words, len(words)
        return Masked(values, np.arange(self.max_words)[None] < lengths[:, None])

    def encoded(self, text: str) -> list[int]:
        """The words of a text, without the end."""
        words = self._words.get(text)
        if words is None:
            if len(self._words) >= CACHED_TEXTS:
                self._words.clear()
            words = self._words[text] = tokenization.encode(self._tokenizer, text).ids
        return words

    def decoded(self, words: Sequence[int] | np.ndarray) -> str:
        """The text of words, up to the end; an unknown word is "\ufffd"."""
        parts: list[list[int]] = [[]]
        for word in map(int, words):
            if word == self.end:
                break
            if word == self.unknown:
                parts.append([])
            else:
                parts[-1].append(word)
        texts = [self._tokenizer.decode(part, skip_special_tokens=False) for part in parts]
        return " \ufffd ".join(texts).strip()

    def remarks(self, row: str) -> list[Remark]:
        """Cut, empty or with unknown words."""
        words, remarks = self.encoded(row), []
        if len(words) >= self.max_words:
            text = f"{len(words)} words, only the first {self.max_words} are learned"
            remarks.append(Remark("cut", text))
        if not words:
            remarks.append(Remark("empty", "empty"))
        if self.unknown in words:
            count = words.count(self.unknown)
            remarks.append(Remark("unknown", f"{count} of {len(words)} words unknown"))
        return remarks

    @staticmethod
    def read(text: str) -> str:
        """The text itself."""
        return text
