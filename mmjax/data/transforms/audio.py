"""Recordings: WAV files opened safely, one channel at one sample rate, brought to one length.

The format is that of IBM and Microsoft 1991, "Multimedia Programming Interface and Data
Specifications 1.0"; SciPy decodes it.
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

from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.io.safe_open import read_file
from mmjax.types import Masked

# Of a file: ten minutes of 16-bit stereo at 44,100 Hz. Encoders read seconds.
BYTE_LIMIT = 106_000_000
# Of what is recorded anywhere; a header may claim 4 GHz, and resampling filters grow with it.
RATE_LIMIT = 384_000
# Loud recordings exceed 1 by little; integers that were written as floats do by thousands.
PEAK_LIMIT = 16.0


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound as it was recorded; UserError for NaN, infinity, and sizes that cannot be."""

    samples: Float[np.ndarray, "sample *channel"]  # [sample] or [sample, channel], in -1..1
    sample_rate: int  # Hz

    def __post_init__(self):
        if not 1 <= self.sample_rate <= RATE_LIMIT:
            raise UserError(f"expected 1 to {RATE_LIMIT:,} samples/s, got {self.sample_rate:,}")
        if self.samples.ndim not in (1, 2) or 0 in self.samples.shape[1:]:
            raise UserError(
                f"expected samples [sample] or [sample, channel], got {self.samples.shape}"
            )
        # Without a copy of samples that take hundreds of megabytes; NaN comes through.
        peak = np.maximum(self.samples.max(initial=0.0), -self.samples.min(initial=0.0))
        if not np.isfinite(peak):
            raise UserError("expected samples in -1..1, got NaN or infinity")
        if peak > PEAK_LIMIT:
            raise UserError(f"expected samples in -1..1, got {peak:g}")


def open_audio(path: str | os.PathLike[str]) -> Recording:
    """A WAV file of integers or floats; UserError for whatever is not exactly that.

    No more than `BYTE_LIMIT` is read, and each size in the file is held against what is there.
    """
    content = read_file(path, f"{path}: expected a WAV file", BYTE_LIMIT)
    return decode_audio(content, name=str(path))


def decode_audio(content: bytes, *, name: str) -> Recording:
    """`open_audio` for what is in memory already; errors call it `name`."""
    expected = f"{name}: expected a WAV file of at most {BYTE_LIMIT:,} bytes"
    if len(content) > BYTE_LIMIT:
        raise UserError(f"{expected}, got a larger one")
    if content[:4] not in (b"RIFF", b"RIFX") or content[8:12] != b"WAVE":
        raise UserError(f"{expected}, got a file of another kind")
    # Here and not above: every import of a configuration would pay for it.
    from scipy.io import wavfile

    try:
        whole = content[: _end(content)]
        with warnings.catch_warnings():
            # SciPy warns of chunks that it does not know, and of those after the samples.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(io.BytesIO(whole))
        return Recording(_in_unit_range(samples), int(rate))
    except ValueError as error:
        raise UserError(f"{expected}, got a damaged or unusual one: {error}") from error
    except Exception as error:  # a broken header raises whatever is computed from it
        raise UserError(f"{expected}, got a damaged one: {error!r}") from error


def _end(content: bytes) -> int:
    """Where the samples end; UserError where that is beyond the file: SciPy reads what there is.

    A file is a header of 12 bytes and chunks: a name and a size, 4 bytes each, then so many bytes.
    """
    order = "<" if content[:4] == b"RIFF" else ">"
    place, names = 12, set()
    while place + 8 <= len(content) and b"data" not in names:  # what follows is no sound
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


def _in_unit_range(samples: np.ndarray) -> np.ndarray:
    """Any type that SciPy decodes to, as floats: integers -2**(n-1) .. 2**(n-1) - 1 over 2**(n-1).

    8 bits are unsigned, 24 bits come as the upper ones of 32.
    """
    if np.issubdtype(samples.dtype, np.integer):
        # In place: 106 MB of 8 bits are 424 MB of floats.
        floats = samples.astype(np.float32)
        if samples.dtype == np.uint8:
            floats -= 128
        floats /= 2.0 ** (8 * samples.dtype.itemsize - 1)
        return floats
    if max(samples.max(initial=0.0), -samples.min(initial=0.0)) <= PEAK_LIMIT:
        return samples.astype(np.float32)
    return samples  # what is wrong with these is said in `Recording`, without an overflow before


@dataclass(frozen=True)
class AudioTransform(Transform):
    """Samples in -1..1 at one rate, as loud as they were recorded; channels are averaged."""

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
        """Values float32 [b, max_samples], mask [b, max_samples], padded at the end.

        A row is a `Recording`, an array of floats in -1..1 or of int16, [sample] or [sample,
        channel] at the rate of the transform, or None. Without samples it is as good as missing.
        """
        values = np.zeros((len(rows), self.max_samples), np.float32)
        mask = np.zeros(values.shape, bool)
        for i, row in enumerate(rows):
            if row is None:
                continue
            try:
                samples = self._resampled(self._recording(row))
            except ValueError as error:
                raise UserError(f"audio in row {i}: {error}") from None
            values[i, : len(samples)] = samples
            mask[i, : len(samples)] = True
        return Masked(values, mask)

    def read(self, text: str, folder: Path) -> Recording:
        """The WAV file of this path, or the part of it that is heard: it may last ten minutes."""
        found = open_audio(folder / text)
        heard = found.samples[: self._reach(found.sample_rate)]
        return Recording(heard.copy(), found.sample_rate)

    def remarks(self, row: Any) -> list[str]:
        """Resampled, cut or empty."""
        recording = self._recording(row)
        count, rate = len(recording.samples), recording.sample_rate
        found = []
        if rate != self.sample_rate:
            found.append(f"resampled from {rate:,} to {self.sample_rate:,} Hz")
        if count * self.sample_rate > self.max_samples * rate:
            seconds = f"{self.max_samples / self.sample_rate:.4g} s"
            found.append(f"longer than {seconds}, only the first {seconds} were read")
        if count == 0:
            found.append("empty")
        return found

    def _recording(self, row: Any) -> Recording:
        if isinstance(row, Recording):
            return row
        if isinstance(row, np.ndarray) and row.dtype == np.int16:
            return Recording(_in_unit_range(row), self.sample_rate)
        if isinstance(row, np.ndarray) and np.issubdtype(row.dtype, np.floating):
            return Recording(row, self.sample_rate)
        got = row.dtype if isinstance(row, np.ndarray) else type(row).__name__
        raise UserError(f"expected a Recording or an array of floats or int16, got {got}")

    def _resampled(self, recording: Recording) -> np.ndarray:
        """At most `max_samples`, at the rate of the transform."""
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
        """How many samples of a recording decide what is heard.

        Those that will be read, and what SciPy's filter of 20 max(up, down) + 1 taps looks ahead:
        the same result, however long the recording and however low its rate.
        """
        up, down = self._ratio(rate)
        return -(-self.max_samples * down // up) + 10 * max(up, down) // up + 1
