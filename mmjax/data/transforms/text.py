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
from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.types import Masked

PAD = 0  # what stands under a False mask: a number that every vocabulary has
_CACHED_TEXTS = 65_536
WORD_LIMIT = 1_000_000  # of one row: more are a typing error or an attack, and take the memory


@dataclass(frozen=True)
class TextTransform(Transform):
    """Words or parts of words, numbered; special words of the tokenizer's own before and after.

    A special word is no word of any text: typed by somebody, "<pad>" is as much as "<", "pad", ">".
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
        """A tokenizer of the training texts alone, of at most so many different words.

        The padding is word 0 and the unknown word 1.
        """
        trained = tokenization.train(texts, kind=tokens, vocabulary_size=vocabulary_size)
        return cls(max_words=max_words, tokenizer=trained)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_words: int) -> "TextTransform":
        """A published model's own: its `tokenizer.json`, or BERT's `vocab.txt`."""
        return cls(max_words=max_words, tokenizer=tokenization.load(path))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return tokenization.parse(self.tokenizer)

    @cached_property
    def _room(self) -> int:
        """How many words of a text are read, beside the special ones."""
        return self.max_words - self._tokenizer.num_special_tokens_to_add(False)

    @cached_property
    def _rows(self) -> dict[str, np.ndarray]:
        """Distinct texts are few in many data sets, and looking one up is 8 times as fast."""
        return {}

    @property
    def vocabulary_size(self) -> int:
        """Word numbers are below it."""
        return 1 + max(self._tokenizer.get_vocab().values())

    @cached_property
    def unknown(self) -> int | None:
        """The number of the unknown word, where there is one."""
        return tokenization.unknown(self._tokenizer)

    @cached_property
    def special(self) -> tuple[int, ...]:
        """The numbers of words that are no words of any text: those that begin and end it."""
        return tuple(sorted(set(self._tokenizer.encode("").ids)))

    def vocabulary(self) -> list[str]:
        """The words, in the order of their numbers."""
        vocabulary = self._tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    def words(self, text: str) -> int:
        """The number of words before any cut and without special words."""
        return len(self._encoded(text))

    def __call__(self, texts: Sequence | np.ndarray) -> Masked:
        """Word numbers [b, max_words] and their mask; a row is a string or, where missing, None.

        A text without a word is as good as missing.
        """
        for row, text in enumerate(texts):
            if text is not None and not isinstance(text, str):
                raise UserError(f"text in row {row}: expected a string, got {text!r}")
        values = np.full((len(texts), self.max_words), PAD, np.int32)
        mask = np.zeros(values.shape, bool)
        for row, text in enumerate(texts):
            ids = self._ids(text or "")
            values[row, : len(ids)] = ids
            mask[row, : len(ids)] = True
        return Masked(values, mask)

    def read(self, text: str, folder: Path) -> str:
        """The text itself; that it can be read is tried here, where its row is known."""
        self._encoded(text)
        return text

    def remarks(self, row: Any) -> list[str]:
        """Cut, empty or with unknown words."""
        encoded = self._encoded(row)
        found = []
        if len(encoded) > self._room:
            found.append(f"{len(encoded)} words, only the first {self._room} were read")
        if len(encoded) == 0:
            found.append("empty")
        read = encoded.ids[: self._room]
        if self.unknown in read:
            found.append(f"{read.count(self.unknown)} of {len(read)} words unknown")
        return found

    def _encoded(self, text: str) -> Encoding:
        """Without special words; blanks alone are no text, though bytes have words for them."""
        text = tokenization.printable(text)
        return tokenization.encode(self._tokenizer, text if text.strip() else "")

    def _ids(self, text: str) -> np.ndarray:
        ids = self._rows.get(text)
        if ids is None:
            encoded = self._encoded(text)
            if len(encoded):
                encoded.truncate(self._room)
                encoded = self._tokenizer.post_process(encoded)
            ids = np.array(encoded.ids, np.int32)
            if len(self._rows) >= _CACHED_TEXTS:
                self._rows.clear()
            self._rows[text] = ids
        return ids
