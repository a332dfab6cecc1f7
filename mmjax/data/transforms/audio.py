"""Recordings: opened safely, averaged to one channel, resampled, padded to one length."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np

from mmjax.data.media.sound import RATE_LIMIT, SAMPLE_LIMIT, in_unit_range, open_sound
from mmjax.data.media.sound import Recording as Recording
from mmjax.data.media.source import cell_source
from mmjax.data.transforms.transform import Remark, Transform, stack_rows
from mmjax.errors import UserError
from mmjax.types import Masked


@dataclass(frozen=True)
class AudioTransform(Transform):
    """Samples in -1..1 at one rate; channels are averaged, the loudness is not changed."""

    padded: ClassVar[bool] = True
    sample_rate: int  # Hz; recordings of another rate are resampled
    max_samples: int  # at `sample_rate`; longer recordings are cut

    def __post_init__(self):
        if not isinstance(self.sample_rate, int) or not 1 <= self.sample_rate <= RATE_LIMIT:
            raise UserError(
                f"sample_rate: expected 1 to {RATE_LIMIT:,} Hz, got {self.sample_rate!r}"
            )
        if not isinstance(self.max_samples, int) or not 1 <= self.max_samples <= SAMPLE_LIMIT:
            raise UserError(
                f"max_samples: expected 1 to {SAMPLE_LIMIT:,}, got {self.max_samples!r}"
            )

    def __call__(self, rows: Sequence | np.ndarray | jax.Array) -> Masked:
        """Values float32 `[b, max_samples]` and mask `[b, max_samples]`, padded at the end.

        A row is a `Recording`, an array of floats in -1..1 or of int16, `[sample]` or
        `[sample, channel]`, at the transform's rate, or None.
        """
        if isinstance(rows, jax.Array):
            rows = np.asarray(rows)
        return Masked(*stack_rows("audio", rows, (self.max_samples,), self._resampled, padded=True))

    def read(self, cell: Any, folder: Path) -> Recording:
        """The part of a recording that is not cut.

        A cell is a path relative to `folder` or the content of a file, of any kind that
        `open_sound` reads, {"bytes": content, "path": text}, or an array as in `__call__`.
        """
        if isinstance(cell, Recording) or hasattr(cell, "__array__"):
            whole = self.recording(cell)
            samples = whole.samples[: self._reach(whole.sample_rate)]
            return Recording(samples.copy(), whole.sample_rate)
        source, name = cell_source(cell, folder)
        return open_sound(source, name=name, reach=self._reach)

    def remarks(self, row: Any) -> list[Remark]:
        """Resampled, cut or empty."""
        recording = self.recording(row)
        count, rate = len(recording.samples), recording.sample_rate
        remarks = []
        if rate != self.sample_rate:
            text = f"resampled from {rate:,} to {self.sample_rate:,} Hz"
            remarks.append(Remark("resampled", text))
        if count * self.sample_rate > self.max_samples * rate:
            seconds = f"{self.max_samples / self.sample_rate:.4g} s"
            text = f"longer than {seconds}, only the first {seconds} were read"
            remarks.append(Remark("cut", text))
        if count == 0:
            remarks.append(Remark("empty", "empty"))
        return remarks

    def recording(self, row: Any) -> Recording:
        """A row with its rate; an array is at the transform's. UserError for anything else."""
        if isinstance(row, Recording):
            return row
        samples = np.asarray(row) if hasattr(row, "__array__") else None  # of NumPy or JAX
        if samples is not None and samples.dtype == np.int16:
            return Recording(in_unit_range(samples), self.sample_rate)
        if samples is not None and np.issubdtype(samples.dtype, np.floating):
            return Recording(samples, self.sample_rate)
        got = type(row).__name__ if samples is None else samples.dtype
        raise UserError(f"expected a Recording or an array of floats or int16, got {got}")

    def _resampled(self, row: Any) -> np.ndarray:
        """At most `max_samples` samples at the transform's rate."""
        recording = self.recording(row)
        up, down = self._ratio(recording.sample_rate)
        samples = recording.samples[: self._reach(recording.sample_rate)]
        if samples.ndim == 2:
            samples = samples.mean(axis=1)
        if up != down and len(samples):
            from scipy.signal import resample_poly

            samples = resample_poly(samples.astype(np.float64), up, down)
        return samples[: self.max_samples]

    def _ratio(self, rate: int) -> tuple[int, int]:
        common = math.gcd(rate, self.sample_rate)
        return self.sample_rate // common, rate // common

    def _reach(self, rate: int) -> int:
        """How many samples of a recording affect the result.

        Those that are read, and half of SciPy's filter of 20 max(up, down) + 1 taps beyond them.
        """
        up, down = self._ratio(rate)
        return -(-self.max_samples * down // up) + 10 * max(up, down) // up + 1
