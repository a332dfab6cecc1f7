"""Recordings: WAV files opened safely, averaged to one channel, resampled, padded to one length.

WAV: IBM and Microsoft 1991, "Multimedia Programming Interface and Data Specifications 1.0".
"""

import io
import math
import os
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from mmjax.data.transforms.transform import Transform, stack_rows
from mmjax.errors import UserError
from mmjax.io.safe_open import read_file
from mmjax.types import Masked

BYTE_LIMIT = 106_000_000  # of a file: ten minutes of 16-bit stereo at 44,100 Hz
RATE_LIMIT = 384_000  # Hz; the resampling filter grows with the rate that a header claims
PEAK_LIMIT = 16.0  # loud recordings exceed 1 by a little, integers stored as floats by thousands


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound at its original rate. Raises a UserError for NaN, infinity and impossible sizes."""

    samples: Float[np.ndarray, "sample *channel"]  # [sample] or [sample, channel], in -1..1
    sample_rate: int  # Hz

    def __post_init__(self):
        if not 1 <= self.sample_rate <= RATE_LIMIT:
            raise UserError(f"expected 1 to {RATE_LIMIT:,} samples/s, got {self.sample_rate:,}")
        if self.samples.ndim not in (1, 2) or 0 in self.samples.shape[1:]:
            raise UserError(
                f"expected samples [sample] or [sample, channel], got {self.samples.shape}"
            )
        peak = _peak(self.samples)
        if not np.isfinite(peak):
            raise UserError("expected samples in -1..1, got NaN or infinity")
        if peak > PEAK_LIMIT:
            raise UserError(f"expected samples in -1..1, got {peak:g}")


def open_audio(path: str | os.PathLike[str]) -> Recording:
    """Read a WAV file of integers or floats.

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: it is damaged, of another format or larger than `BYTE_LIMIT`.
    """
    content = read_file(path, f"{path}: expected a WAV file", BYTE_LIMIT)
    return decode_audio(content, name=str(path))


def decode_audio(content: bytes, *, name: str) -> Recording:
    """Decode the content of a WAV file; a UserError begins with `name`."""
    expected = f"{name}: expected a WAV file of at most {BYTE_LIMIT:,} bytes"
    if content[:4] not in (b"RIFF", b"RIFX") or content[8:12] != b"WAVE":
        raise UserError(f"{expected}, got a file of another kind")
    from scipy.io import wavfile  # here, because it would slow down every import of mmjax.data

    try:
        whole = content[: _end(content)]
        with warnings.catch_warnings():
            # SciPy warns of unknown chunks and of chunks after the samples.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(io.BytesIO(whole))
        return Recording(_in_unit_range(samples), int(rate))
    except ValueError as error:
        raise UserError(f"{expected}, got a damaged or unusual one: {error}") from error
    except Exception as error:  # SciPy raises many kinds of errors for a damaged header
        raise UserError(f"{expected}, got a damaged one: {error!r}") from error


def _end(content: bytes) -> int:
    """The end of the samples. Raises a UserError for a file cut short, which SciPy would accept.

    A file is a header of 12 bytes and chunks: a name and a size, 4 bytes each, then `size` bytes.
    """
    order = "<" if content[:4] == b"RIFF" else ">"
    place, names = 12, set()
    while place + 8 <= len(content) and b"data" not in names:
        (size,) = struct.unpack_from(f"{order}I", content, place + 4)
        name = content[place : place + 4]
        names.add(name)
        if place + 8 + size > len(content):
            left = len(content) - place - 8
            raise UserError(f"cut short: {left:,} of {size:,} bytes of {name!r} are left")
        place += 8 + size + size % 2
    if b"fmt " not in names or b"data" not in names:
        raise UserError("cut short: no format or no samples")
    return place


def _peak(samples: np.ndarray) -> Any:
    """The largest absolute value, computed without a copy; NaN if any sample is NaN."""
    return np.maximum(samples.max(initial=0.0), -samples.min(initial=0.0))


def _in_unit_range(samples: np.ndarray) -> np.ndarray:
    """Samples of any type that SciPy decodes to, as floats in -1..1.

    8-bit samples are unsigned; SciPy shifts 24-bit samples to the upper bits of int32.
    """
    if np.issubdtype(samples.dtype, np.integer):
        floats = samples.astype(np.float32)  # changed in place, to save memory
        if samples.dtype == np.uint8:
            floats -= 128
        floats /= 2.0 ** (8 * samples.dtype.itemsize - 1)
        return floats
    # Others overflow in float32; `Recording` refuses them.
    return samples.astype(np.float32) if _peak(samples) <= PEAK_LIMIT else samples


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
        limit = BYTE_LIMIT // 2
        if not isinstance(self.max_samples, int) or not 1 <= self.max_samples <= limit:
            raise UserError(f"max_samples: expected 1 to {limit:,}, got {self.max_samples!r}")

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values float32 `[b, max_samples]` and mask `[b, max_samples]`, padded at the end.

        A row is a `Recording`, an array of floats in -1..1 or of int16, `[sample]` or
        `[sample, channel]`, at the transform's rate, or None.
        """
        return Masked(*stack_rows("audio", rows, (self.max_samples,), self._resampled, padded=True))

    def read(self, text: str, folder: Path) -> Recording:
        """The part of a WAV file that is not cut."""
        whole = open_audio(folder / text)
        samples = whole.samples[: self._reach(whole.sample_rate)]
        return Recording(samples.copy(), whole.sample_rate)

    def remarks(self, row: Any) -> list[str]:
        """Resampled, cut or empty."""
        recording = self._recording(row)
        count, rate = len(recording.samples), recording.sample_rate
        remarks = []
        if rate != self.sample_rate:
            remarks.append(f"resampled from {rate:,} to {self.sample_rate:,} Hz")
        if count * self.sample_rate > self.max_samples * rate:
            seconds = f"{self.max_samples / self.sample_rate:.4g} s"
            remarks.append(f"longer than {seconds}, only the first {seconds} were read")
        if count == 0:
            remarks.append("empty")
        return remarks

    def _recording(self, row: Any) -> Recording:
        if isinstance(row, Recording):
            return row
        if isinstance(row, np.ndarray) and row.dtype == np.int16:
            return Recording(_in_unit_range(row), self.sample_rate)
        if isinstance(row, np.ndarray) and np.issubdtype(row.dtype, np.floating):
            return Recording(row, self.sample_rate)
        got = row.dtype if isinstance(row, np.ndarray) else type(row).__name__
        raise UserError(f"expected a Recording or an array of floats or int16, got {got}")

    def _resampled(self, row: Any) -> np.ndarray:
        """At most `max_samples` samples at the transform's rate."""
        recording = self._recording(row)
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
