"""Columns that are modalities."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from mmjax.data.tables.columns.column import Cell, Column, Fit, absent
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.image import ImageFit, ImageTransform
from mmjax.data.transforms.table import parse_row
from mmjax.data.transforms.table_fit import TableFit
from mmjax.data.transforms.text import TextFit, TextTransform
from mmjax.data.transforms.tokenizer import Kind
from mmjax.errors import UserError


@final
@dataclass(frozen=True)
class ImageColumn(Column):
    """Pictures: paths of PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or DICOM files, or their bytes."""

    files: ClassVar[bool] = True
    size: tuple[int, int] = (64, 64)  # height and width in pixels that pictures are resized to
    grey: bool = False  # read as grey instead of RGB
    # Largest picture that is read, in pixels; 0: 200 million of JPEG, 50 million of others.
    pixel_limit: int = 0
    # Of DICOM: centre and width of the levels that are shown, such as 40 400 (Hounsfield units);
    # None: as the file says.
    window: tuple[float, float] | None = None

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (*self.size, 1 if self.grey else 3)

    def read(self, cell: Cell, folder: Path) -> np.ndarray:
        """Pixels uint8 or uint16 `[height, width, channel]`."""
        draft = _draft_image(self._shape)
        limit = self.pixel_limit or None
        return draft.read(cell, folder, pixel_limit=limit, window=self.window)

    def fitting(self) -> Fit:
        """Mean and standard deviation of each channel."""
        return ImageFit(self._shape)


@functools.lru_cache
def _draft_image(shape: tuple[int, int, int]) -> ImageTransform:
    return ImageTransform(shape, mean=(0.0,) * shape[2], std=(1.0,) * shape[2])


@final
@dataclass(frozen=True)
class TextColumn(Column):
    """Texts."""

    max_words: int = 0  # longer texts are cut; 0: as many as the longest training text has
    # Largest number of different words, with the padding and the unknown word.
    vocabulary_size: int = 10_000
    tokens: Kind = "words"  # how texts are split: "words", "bpe" or "wordpiece"
    # A published tokenizer.json or vocab.txt, instead of a vocabulary of the training texts.
    tokenizer: str | None = None
    dropout: float = 0.0  # share of the training words replaced by the unknown word, 0 to 1

    def read(self, cell: Cell, folder: Path) -> str:
        """The text itself; numbers as they are written."""
        return cell if isinstance(cell, str) else str(cell)

    def fitting(self) -> Fit:
        """A vocabulary, unless the tokenizer is a published one."""
        if self.tokenizer is None:
            return TextFit(self.vocabulary_size, self.max_words, self.tokens)
        if not self.max_words:
            raise UserError("max_words: a published tokenizer needs a number above 0, got 0")
        return _Fitted(TextTransform.load(self.tokenizer, max_words=self.max_words))


@dataclass(frozen=True)
class _Fitted(Fit):
    transform: Any

    def add(self, row: Any, /) -> None:
        del row

    def result(self) -> Any:
        return self.transform


@final
@dataclass(frozen=True)
class TableColumn(Column):
    """Cells of ordinary columns: numbers, dates and categories; or one column of JSON objects."""

    # Columns whose numbers are names, such as codes.
    categories: tuple[str, ...] = ()

    def row(self, cells: Mapping[str, Cell], folder: Path) -> dict[str, Any] | None:
        """A mapping from columns to cells."""
        if len(cells) > 1 or not (_is_object(cell := next(iter(cells.values()))) or absent(cell)):
            return None if all(map(absent, cells.values())) else dict(cells)
        return None if absent(cell) else self.read(cell, folder)

    def read(self, cell: Cell, folder: Path) -> dict[str, Any]:
        """The cells of a JSON object."""
        return parse_row(cell) if isinstance(cell, str) else cell

    def fitting(self) -> Fit:
        """Kinds, statistics and categories of the columns."""
        return TableFit(self.categories)


def _is_object(cell: Cell) -> bool:
    return isinstance(cell, Mapping) or (isinstance(cell, str) and cell.lstrip()[:1] == "{")


@final
@dataclass(frozen=True)
class SoundColumn(Column):
    """Recordings: paths of WAV files, with the extra [audio] also FLAC, OGG or MP3; or bytes."""

    files: ClassVar[bool] = True
    sample_rate: int = 16_000  # Hz that recordings are resampled to
    max_samples: int = 16_000  # longer recordings are cut, at `sample_rate`

    @property
    def _transform(self) -> AudioTransform:
        return AudioTransform(self.sample_rate, self.max_samples)

    def read(self, cell: Cell, folder: Path) -> Any:
        """A `Recording` at its own rate."""
        return self._transform.read(cell, folder)

    def fitting(self) -> Fit:
        """Nothing is fitted."""
        return _Fitted(self._transform)
