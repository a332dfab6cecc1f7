"""Precomputed features: rows of numbers, brought to one length, standardised."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.io.safe_open import open_file
from mmjax.types import Masked

# Standardised in float64, numbers of 16 bits take four times as much.
BYTE_LIMIT = 100_000_000


def open_features(path: str | os.PathLike[str]) -> np.ndarray:
    """The array of a `.npy` file; UserError for whatever is not exactly that.

    Nothing is ever unpickled, and the size that the header claims is held against the file's.
    """
    expected = f"{path}: expected a .npy file of floats"
    with open_file(path, expected) as file:
        size = os.fstat(file.fileno()).st_size
    if size > BYTE_LIMIT:
        raise UserError(f"{expected} of at most {BYTE_LIMIT:,} bytes, got {size:,}")
    try:
        with warnings.catch_warnings():
            # Of headers by Python 2, and of escapes that mean nothing in a damaged one.
            warnings.simplefilter("ignore")
            found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a broken header raises whatever Python's own parser does
        raise UserError(f"{expected}, got another or a damaged one: {error}") from error
    if not isinstance(found, np.ndarray):
        found.close()
        raise UserError(f"{expected}, got an archive of several arrays")
    return np.array(found)


@dataclass(frozen=True)
class FeatureTransform(Transform):
    """values = (x - mean) / std, feature by feature."""

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
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != len(self.mean) or not np.isfinite(values).all():
                raise UserError(f"{name}: expected {len(self.mean)} finite numbers, got {values}")
        if min(self.std) <= 0:
            raise UserError(f"std: expected numbers above 0, got {self.std}")

    @classmethod
    def fit(cls, rows: Sequence | np.ndarray, *, max_tokens: int) -> "FeatureTransform":
        """Mean and standard deviation over the tokens that are read of the training rows.

        A feature that never changes is only centred.
        """
        first = next((row for row in rows if row is not None and np.ndim(row)), None)
        if first is None:
            raise UserError("rows: expected at least one that is not missing, got none")
        width = np.shape(first)[-1]
        plain = cls(max_tokens=max_tokens, mean=(0.0,) * width, std=(1.0,) * width)
        values, mask = plain._padded(rows)
        if not mask.any():
            raise UserError("rows: expected at least one token, got none")
        std = values[mask].std(axis=0)
        return cls(
            max_tokens=max_tokens,
            mean=tuple(values[mask].mean(axis=0).tolist()),
            std=tuple(np.where(std > 1e-9 * np.abs(values[mask]).max(axis=0), std, 1.0).tolist()),
        )

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 [b, max_tokens, feature], mask [b, max_tokens], padded at the end.

        A row is a float array [token, feature], [feature] for one token, or None where missing.
        """
        values, mask = self._padded(rows)
        return Masked(values.astype(np.float32), mask)

    def read(self, text: str, folder: Path) -> np.ndarray:
        """The array in the `.npy` file of this path."""
        features = open_features(folder / text)
        try:
            self.tokens(features)
        except ValueError as error:
            raise UserError(f"{folder / text}: {error}") from None
        return features

    def remarks(self, row: Any) -> list[str]:
        """Cut or empty."""
        count = len(self.tokens(row))
        if count == 0:
            return ["empty"]
        if count > self.max_tokens:
            return [f"{count} tokens, only the first {self.max_tokens} were read"]
        return []

    def tokens(self, row: Any) -> np.ndarray:
        """A row standardised, float64 [token, feature], uncut; UserError for any other thing."""
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
        if not peak <= np.finfo(np.float32).max:
            raise UserError(f"{expected}, got NaN, infinity or a number too large for float32")
        return np.atleast_2d(tokens)

    def _padded(self, rows: Sequence | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = np.zeros((len(rows), self.max_tokens, len(self.mean)))
        mask = np.zeros(values.shape[:2], bool)
        for i, row in enumerate(rows):
            if row is None:
                continue
            try:
                tokens = self.tokens(row)[: self.max_tokens]
            except ValueError as error:
                raise UserError(f"features in row {i}: {error}") from None
            values[i, : len(tokens)] = tokens
            mask[i, : len(tokens)] = True
        return values, mask
