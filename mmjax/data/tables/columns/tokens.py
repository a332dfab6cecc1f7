"""Columns that are modalities of several tokens: features, series, points, slices."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from mmjax.data.media.dicom import open_slices
from mmjax.data.media.pixels import resized
from mmjax.data.media.points import open_points
from mmjax.data.media.series import open_series
from mmjax.data.media.source import cell_source
from mmjax.data.tables.columns.column import Cell, Column, Fit
from mmjax.data.transforms.features import FeatureFit, FeatureTransform, open_features
from mmjax.errors import UserError


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
        matrix = _mapped(folder / self.matrix, "fiu")
        ends = _mapped(folder / self.offsets, "iu") if self.offsets else None
        count = len(matrix) if ends is None else len(ends) - 1
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = math.nan
        if not (0 <= number < count and number.is_integer()):
            raise UserError(f"expected a row of {self.matrix}, 0 to {count - 1}, got {cell!r:.60}")
        place = int(number)
        found = matrix[place] if ends is None else matrix[ends[place] : ends[place + 1]]
        return _draft_features(np.array(found, np.float32), folder)


def _draft_features(cell: Cell, folder: Path) -> np.ndarray:
    """Features of any width: an array, a list, its text, or a .npy file or its content."""
    if isinstance(cell, str) and cell.lstrip()[:1] == "[":
        cell = [float(number) for number in cell.strip()[1:-1].replace(",", " ").split()]
    if isinstance(cell, list):
        cell = np.asarray(cell, np.float32)
    if not isinstance(cell, np.ndarray):
        source, name = cell_source(cell, folder)
        cell = open_features(source, name=name)
    if cell.ndim not in (1, 2) or not cell.shape[-1]:
        raise UserError(
            f"expected floats [token, feature] or [feature], got the shape {cell.shape}"
        )
    FeatureTransform.draft(cell.shape[-1]).tokens(cell)  # checks the numbers
    return cell


@functools.lru_cache(maxsize=8)
def _mapped(path: Path, kinds: str) -> np.ndarray:
    """A .npy file of rows; `kinds` of NumPy's types."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds of errors for a damaged file
        raise UserError(f"{path}: expected a .npy file of numbers, got {error}") from error
    if not (isinstance(array, np.ndarray) and array.ndim and array.dtype.kind in kinds):
        raise UserError(f"{path}: expected a .npy file with rows of numbers, got {array!r:.60}")
    return array


@final
@dataclass(frozen=True)
class SeriesColumn(_Tokens):
    """Time series: paths of .npy or .csv files of numbers `[step, channel]`.

    A first CSV column of time stamps becomes channel 0, in seconds since the first row.
    """

    def read(self, cell: Cell, folder: Path) -> np.ndarray:
        """Floats `[step, channel]`."""
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
        points = _array(self._open, cell, folder)
        if len(points) > self.max_points:
            points = points[np.linspace(0, len(points) - 1, self.max_points).astype(int)]
        return points

    def _open(self, source: Any, *, name: str | None) -> np.ndarray:
        # KITTI's files have no mark by which bytes could be told.
        return open_points(
            source, name=name, suffix=".bin" if (name or "").endswith(".bin") else None
        )


@final
@dataclass(frozen=True)
class SlicesColumn(_Tokens):
    """Volumes: paths of folders of DICOM slices, each a token of its pixels."""

    size: tuple[int, int] = (32, 32)  # height and width in pixels that slices are resized to
    # Centre and width of the levels that are shown, such as 40 400 (Hounsfield units); None: all.
    window: tuple[float, float] | None = None

    def read(self, cell: Cell, folder: Path) -> np.ndarray:
        """Floats `[slice, height * width]`, 0..1."""
        if not isinstance(cell, str):
            raise UserError(f"expected the path of a folder of slices, got {type(cell).__name__}")
        slices = open_slices(folder / cell, window=self.window)
        small = [resized(one[..., None], (*self.size, 1)).ravel() for one in slices]
        return np.stack(small).astype(np.float32) / np.float32(np.iinfo(slices.dtype).max)


def _array(opened: Callable[..., np.ndarray], cell: Cell, folder: Path) -> np.ndarray:
    if not isinstance(cell, (np.ndarray, list)):
        source, name = cell_source(cell, folder)
        cell = opened(source, name=name)
    return _draft_features(np.asarray(cell, np.float32), folder)
