"""Columns that are modalities."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from mmjax.data.tables.columns.column import Cell, Column, Fit, absent
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.features import FeatureFit, FeatureTransform
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

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (*self.size, 1 if self.grey else 3)

    def read(self, cell: Cell, folder: Path) -> np.ndarray:
        """Pixels uint8 or uint16 `[height, width, channel]`."""
        return _draft_image(self._shape).read(cell, folder)

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


@dataclass(frozen=True)
class _Tokens(Column):
    """Rows of floats `[token, feature]`, standardised feature by feature."""

    files: ClassVar[bool] = True
    max_tokens: int = 0  # longer rows are cut; 0: as many as the longest training row has

    def fitting(self) -> Fit:
        """Mean and standard deviation of each feature, and the longest row."""
        return FeatureFit(self.max_tokens or None)


@final
@dataclass(frozen=True)
class FeaturesColumn(_Tokens):
    """Precomputed features: paths of .npy files of floats, lists of numbers, or rows of a matrix.

    With `matrix`, a cell is the number of a row of that file; with `offsets`, row i consists of the
    lines offsets[i] to offsets[i + 1] - 1 of the matrix.
    """

    matrix: str = ""  # a .npy file
    offsets: str = ""  # a .npy file of integers

    def read(self, cell: Cell, folder: Path) -> np.ndarray:
        """Floats `[token, feature]` or `[feature]`."""
        if not self.matrix:
            return _draft_features(cell, folder)
        matrix = _mapped(folder / self.matrix)
        ends = _mapped(folder / self.offsets) if self.offsets else None
        count = len(matrix) if ends is None else len(ends) - 1
        try:
            place = int(cell)
        except (TypeError, ValueError):
            place = -1
        if not 0 <= place < count:
            raise UserError(f"expected a row of {self.matrix}, 0 to {count - 1}, got {cell!r:.60}")
        found = matrix[place] if ends is None else matrix[ends[place] : ends[place + 1]]
        return _draft_features(np.array(found, np.float32), folder)


def _draft_features(cell: Cell, folder: Path) -> np.ndarray:
    if isinstance(cell, str) and cell.lstrip()[:1] == "[":
        cell = [float(number) for number in cell.strip()[1:-1].replace(",", " ").split()]
    if isinstance(cell, list):
        cell = np.asarray(cell, np.float32)
    if isinstance(cell, str):
        from mmjax.data.transforms.features import open_features

        cell = open_features(folder / cell)
    if not isinstance(cell, np.ndarray) or cell.ndim not in (1, 2) or not cell.shape[-1]:
        raise UserError(f"expected floats [token, feature] or [feature], got {cell!r:.60}")
    FeatureTransform.draft(cell.shape[-1]).tokens(cell)  # checks the numbers
    return cell


@functools.lru_cache(maxsize=8)
def _mapped(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds of errors for a damaged file
        raise UserError(f"{path}: expected a .npy file of numbers, got {error}") from error


@final
@dataclass(frozen=True)
class SeriesColumn(_Tokens):
    """Time series: paths of .npy or .csv files of numbers `[step, channel]`.

    A first CSV column of time stamps becomes channel 0, in seconds since the first row.
    """

    def read(self, cell: Cell, folder: Path) -> np.ndarray:
        """Floats `[step, channel]`."""
        from mmjax.data.media.series import open_series

        return _array(open_series, cell, folder)


@final
@dataclass(frozen=True)
class PointsColumn(_Tokens):
    """Sets of points: paths of .npy, KITTI .bin, .ply or .pcd files, `[point, feature]`.

    Of sets with more than `max_points`, evenly spaced points are read.
    """

    max_points: int = 2048

    def read(self, cell: Cell, folder: Path) -> np.ndarray:
        """Floats `[point, feature]`."""
        from mmjax.data.media.points import open_points

        points = _array(open_points, cell, folder)
        if len(points) > self.max_points:
            points = points[np.linspace(0, len(points) - 1, self.max_points).astype(int)]
        return points


def _array(opened: Callable[[Any], np.ndarray], cell: Cell, folder: Path) -> np.ndarray:
    if isinstance(cell, str):
        cell = folder / cell
    array = np.asarray(cell if isinstance(cell, (np.ndarray, list)) else opened(cell), np.float32)
    return _draft_features(array, folder)
