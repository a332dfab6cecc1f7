"""Columns that are targets."""

import array
import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np

from mmjax.data.tables.columns.column import Cell, Column, Fit, absent
from mmjax.data.targets import (
    Binary,
    Category,
    Group,
    MultiLabel,
    Number,
    Survival,
    Target,
    Text,
)
from mmjax.data.transforms.text import TextFit, TextTransform
from mmjax.data.transforms.tokenizer import Kind
from mmjax.errors import UserError


@dataclass(frozen=True)
class _Answer(Column):
    target: ClassVar[bool] = True
    kind: ClassVar[type[Target]]

    def read(self, cell: Cell, folder: Path) -> Any:
        """The row of the target."""
        return self.kind.read(_text(cell))

    def fitting(self) -> Fit:
        """What the target needs to know of the training rows."""
        return _Counted(self.kind)


def _text(cell: Cell) -> str:
    whole = isinstance(cell, float) and cell.is_integer()
    return cell if isinstance(cell, str) else str(int(cell) if whole else cell)


class _Counted(Fit):
    """How often each row was added."""

    def __init__(self, kind: type[Target]) -> None:
        self._kind, self._counts = kind, Counter()

    def add(self, row: Any, /) -> None:
        if row is not None:
            self._counts[tuple(row) if isinstance(row, list) else row] += 1

    def result(self) -> Any:
        return self._kind.fit(self._counts.elements())


@final
@dataclass(frozen=True)
class BinaryColumn(_Answer):
    """Yes or no: 1 or 0, true or false, yes or no."""

    kind: ClassVar[type[Target]] = Binary


@final
@dataclass(frozen=True)
class ClassColumn(_Answer):
    """One class of several, by its name."""

    kind: ClassVar[type[Target]] = Category
    # For a class in validation or test that no training row has: an error, or a missing target.
    unknown: Literal["error", "missing"] = "error"

    def fitting(self) -> Fit:
        """The classes of the training rows."""
        return _Classes(self.unknown)


class _Classes(_Counted):
    def __init__(self, unknown: Literal["error", "missing"]) -> None:
        super().__init__(Category)
        self._unknown = unknown

    def result(self) -> Category:
        return dataclasses.replace(super().result(), unknown=self._unknown)


@final
@dataclass(frozen=True)
class MultiLabelColumn(_Answer):
    """Any number of labels, separated by semicolons, or a list of them; a lone semicolon: none."""

    kind: ClassVar[type[Target]] = MultiLabel
    # What an empty cell says: that the labels are not known, or that there is none.
    empty: Literal["missing", "none"] = "missing"

    def row(self, cells: Mapping[str, Cell], folder: Path) -> Any:
        """The names, or None."""
        found = super().row(cells, folder)
        return [] if found is None and self.empty == "none" else found

    def read(self, cell: Cell, folder: Path) -> list[str]:
        """The names."""
        return [str(name) for name in cell] if isinstance(cell, list) else MultiLabel.read(cell)


@final
@dataclass(frozen=True)
class NumberColumn(_Answer):
    """A number, in the unit of your choice."""

    kind: ClassVar[type[Target]] = Number
    unit: str = ""  # shown beside predictions and errors

    def fitting(self) -> Fit:
        """Mean and standard deviation."""
        return _Numbers(self.unit)


class _Numbers(Fit):
    def __init__(self, unit: str) -> None:
        self._unit, self._rows = unit, array.array("d")

    def add(self, row: Any, /) -> None:
        if row is not None:
            self._rows.append(row)

    def result(self) -> Number:
        return Number.fit(np.array(self._rows), unit=self._unit)


@final
@dataclass(frozen=True)
class SurvivalColumn(_Answer):
    """Time until an event: two columns, time and whether the event happened, or one.

    In one column a censored time has a plus sign: 12.5+.
    """

    kind: ClassVar[type[Target]] = Survival

    def row(self, cells: Mapping[str, Cell], folder: Path) -> tuple[float, float] | None:
        """(time, event)."""
        if len(cells) == 1:
            return super().row(cells, folder)
        if len(cells) != 2:
            raise UserError(f"expected the columns of time and event, got {', '.join(cells)}")
        time, event = cells.values()
        if absent(time) or absent(event):
            return None
        return Survival.read(_text(time))[0], float(Binary.read(_text(event)))


@final
@dataclass(frozen=True)
class GroupColumn(_Answer):
    """Which examples belong together: equal texts are one group."""

    kind: ClassVar[type[Target]] = Group


@final
@dataclass(frozen=True)
class TextTargetColumn(_Answer):
    """A text to be written: a caption, an answer, a transcript."""

    kind: ClassVar[type[Target]] = Text
    max_words: int = 0  # longer texts are cut; the end counts; 0: as the longest training text
    # Largest number of different words, with the padding and the unknown word.
    vocabulary_size: int = 10_000
    tokens: Kind = "words"  # how texts are split: "words", "bpe" or "wordpiece"
    # A published tokenizer.json or vocab.txt, instead of a vocabulary of the training texts.
    tokenizer: str | None = None

    def read(self, cell: Cell, folder: Path) -> str:
        """The text itself; numbers as they are written."""
        return cell if isinstance(cell, str) else str(cell)

    def fitting(self) -> Fit:
        """A vocabulary, unless the tokenizer is a published one."""
        if self.tokenizer is not None and not self.max_words:
            raise UserError("max_words: a published tokenizer needs a number above 0, got 0")
        return _Texts(self)


class _Texts(Fit):
    def __init__(self, column: TextTargetColumn) -> None:
        self._column = column
        words = max(column.max_words - 1, 0)
        self._fit = TextFit(column.vocabulary_size, words, column.tokens)

    def add(self, row: Any, /) -> None:
        if self._column.tokenizer is None:
            self._fit.add(row)

    def result(self) -> Text:
        if self._column.tokenizer is not None:
            file, words = self._column.tokenizer, self._column.max_words
            return Text(words, TextTransform.load(file, max_words=words).tokenizer)
        transform = self._fit.result()
        return Text(transform.max_words + 1, transform.tokenizer)
