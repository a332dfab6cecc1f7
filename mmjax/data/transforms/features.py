"""Precomputed features: rows of numbers, padded to one length, standardised."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mmjax.data.media.arrays import decode_npy
from mmjax.data.media.source import Source, cell_source, label, read_source
from mmjax.data.standardize import LARGEST, Moments, check_statistics
from mmjax.data.transforms.transform import Remark, Transform, stack_rows
from mmjax.errors import UserError, errors_name
from mmjax.types import Masked

BYTE_LIMIT = 100_000_000  # of a file; float16 features take four times as much in float64


def open_features(source: Source, *, name: str | None = None) -> np.ndarray:
    """The array of a `.npy` file: a path, or its content, which errors call `name`.

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: it is not a `.npy` file of one array, is damaged or larger than `BYTE_LIMIT`.
    """
    expected = f"{label(source, name, 'features')}: expected a .npy file of floats"
    return decode_npy(read_source(source, expected, BYTE_LIMIT), expected)


@dataclass(frozen=True)
class FeatureTransform(Transform):
    """values = (x - mean) / std, for each feature."""

    padded: ClassVar[bool] = True
    max_tokens: int  # longer rows are cut
    mean: tuple[float, ...]  # one per feature
    std: tuple[float, ...]  # one per feature, above 0

    def __post_init__(self):
        if not isinstance(self.max_tokens, int) or self.max_tokens < 1:
            raise UserError(f"max_tokens: expected at least 1, got {self.max_tokens!r}")
        if self.max_tokens * len(self.mean) > BYTE_LIMIT // 2:
            raise UserError(
                f"max_tokens: expected at most {BYTE_LIMIT // 2:,} numbers in a row, got "
                f"{self.max_tokens:,} times {len(self.mean)}"
            )
        if not self.mean:
            raise UserError("mean: expected one number per feature, got none")
        check_statistics(self.mean, self.std, size=len(self.mean))

    @classmethod
    def fit(cls, rows: Iterable, *, max_tokens: int | None = None) -> "FeatureTransform":
        """Mean and standard deviation of the training rows, over the tokens that are not cut.

        `max_tokens`: None, as many as the longest row has. A constant feature is only centred.
        """
        fitting = FeatureFit(max_tokens)
        for i, row in enumerate(rows):
            try:
                fitting.add(row)
            except ValueError as error:
                raise UserError(f"features in row {i}: {error}") from None
        return fitting.result()

    @classmethod
    def draft(cls, width: int, *, max_tokens: int = 1) -> "FeatureTransform":
        """A transform of `width` features that leaves them unchanged."""
        return cls(max_tokens, mean=(0.0,) * width, std=(1.0,) * width)

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 `[b, max_tokens, feature]` and mask `[b, max_tokens]`, padded at the end.

        A row is a float array `[token, feature]`, `[feature]` for one token, or None.
        """
        values, mask = self._padded(rows)
        return Masked(values.astype(np.float32), mask)

    def read(self, cell: Any, folder: Path) -> np.ndarray:
        """The array of a `.npy` file, or an array or list of numbers itself."""
        if isinstance(cell, (list, np.ndarray)):
            features = np.asarray(cell, np.float32) if isinstance(cell, list) else cell
            self.tokens(features)
            return features
        source, name = cell_source(cell, folder)
        features = open_features(source, name=name)
        with errors_name(label(source, name, "features")):
            self.tokens(features)
        return features

    def remarks(self, row: Any) -> list[Remark]:
        """Cut or empty."""
        count = len(self.tokens(row))
        if count == 0:
            return [Remark("empty", "empty")]
        if count > self.max_tokens:
            text = f"{count} tokens, only the first {self.max_tokens} were read"
            return [Remark("cut", text)]
        return []

    def tokens(self, row: Any) -> np.ndarray:
        """The standardised row, float64 `[token, feature]`, not cut.

        Raises:
            UserError: the row is not a finite float array of this width.
        """
        width = len(self.mean)
        expected = f"expected floats [token, {width}] or [{width}]"
        if not isinstance(row, np.ndarray):
            raise UserError(f"{expected}, got {type(row).__name__}")
        if not np.issubdtype(row.dtype, np.floating):
            raise UserError(f"{expected}, got {row.dtype}")
        if row.ndim not in (1, 2) or row.shape[-1] != width:
            raise UserError(f"{expected}, got the shape {row.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            tokens = row.astype(np.float64)
            tokens -= np.array(self.mean)
            tokens /= np.array(self.std)
        peak = np.maximum(tokens.max(initial=0.0), -tokens.min(initial=0.0))  # NaN comes through
        if not peak <= LARGEST:
            raise UserError(f"{expected}, got NaN, infinity or a number too large for float32")
        return np.atleast_2d(tokens)

    def _padded(self, rows: Sequence | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = (self.max_tokens, len(self.mean))
        return stack_rows("features", rows, shape, self._cut, padded=True, dtype=np.float64)

    def _cut(self, row: Any) -> np.ndarray:
        return self.tokens(row)[: self.max_tokens]


class FeatureFit:
    """Collects what `FeatureTransform` needs from rows that are added one by one."""

    def __init__(self, max_tokens: int | None = None) -> None:
        """`max_tokens`: None, as many as the longest row has."""
        self._max_tokens, self._longest, self._moments = max_tokens, 0, Moments()
        self._draft: FeatureTransform | None = None

    def add(self, row: Any) -> None:
        """Add a row; UserError if it has another width than the first, or is no float array."""
        if row is None:
            return
        if self._draft is None:
            if not np.ndim(row) or not np.shape(row)[-1]:
                raise UserError(f"expected one feature or more, got the shape {np.shape(row)}")
            self._draft = FeatureTransform.draft(np.shape(row)[-1])
        tokens = self._draft.tokens(row)[: self._max_tokens]
        self._longest = max(self._longest, len(tokens))
        self._moments.add(tokens)

    def result(self) -> FeatureTransform:
        """The fitted transform; UserError if no row had a token."""
        if not self._moments.count:
            raise UserError("rows: expected at least one token, got none")
        mean, std = self._moments.result()
        longest = self._max_tokens or self._longest
        return FeatureTransform(longest, tuple(mean.tolist()), tuple(std.tolist()))
