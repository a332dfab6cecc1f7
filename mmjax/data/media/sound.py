"""Sounds: WAV files by SciPy, compressed ones by soundfile (libsndfile), all opened safely."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from mmjax.data.media.source import Source, label, read_source
from mmjax.data.media.wav import PCM, end_of_samples
from mmjax.errors import MissingPackageError, UserError

BYTE_LIMIT = 106_000_000  # of a file: ten minutes of 16-bit stereo at 44,100 Hz
SAMPLE_LIMIT = BYTE_LIMIT // 2  # of all channels, decoded
RATE_LIMIT = 384_000  # Hz; the resampling filter grows with the rate that a header claims
PEAK_LIMIT = 16.0  # loud recordings exceed 1 by a little, integers stored as floats by thousands

Reach = Callable[[int], int]


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


def open_sound(source: Source, *, name: str | None = None, reach: Reach | None = None) -> Recording:
    """Read a WAV file, or, with the extra [audio], a FLAC, Ogg (Vorbis or Opus) or MP3 file.

    WAV files of integers and floats need no extra, of other codecs such as mu-law they do. The size
    that a stream's header claims (0, or 2 GB and more) is ignored: it is read to its end.

    Args:
        source: a path, or the content of a file
        name: what errors call bytes
        reach: how many samples of each channel are wanted at a rate in Hz; None: all

    Raises:
        FileNotFoundError: the file does not exist.
        MissingPackageError: soundfile is needed and not installed.
        UserError: it is damaged, cut short, of another format or larger than `BYTE_LIMIT`, or has
            more samples than `SAMPLE_LIMIT`.
    """
    name = label(source, name, "sound")
    content = read_source(source, f"{name}: expected a WAV, FLAC, Ogg or MP3 file", BYTE_LIMIT)
    kind = _kind(content[:12])
    article = "an" if kind in ("Ogg", "MP3") else "a"
    expected = f"{name}: expected {article} {kind or 'WAV, FLAC, Ogg or MP3'} file"
    if kind is None:
        raise UserError(f"{expected}, got a file of another kind")
    try:
        if kind == "WAV":
            codec, content = end_of_samples(content)
            kind = "WAV" if codec in PCM else f"WAV (codec {codec})"
        read = _plain if kind == "WAV" else _compressed
        return read(content, kind, reach)
    except MissingPackageError as error:
        raise MissingPackageError(f"{name}: {error}") from None
    except ValueError as error:
        raise UserError(f"{expected}, got a damaged or unusual one: {error}") from error
    except Exception as error:  # decoders raise many kinds of errors for a damaged header
        raise UserError(f"{expected}, got a damaged one: {error!r:.300}") from error


def _kind(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] in (b"fLaC", b"OggS"):
        return "FLAC" if head[:4] == b"fLaC" else "Ogg"
    # A tag, or the 11 bits and the layer at the beginning of every frame.
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "MP3"
    return None


def _plain(content: bytes, kind: str, reach: Reach | None) -> Recording:
    del kind
    from scipy.io import wavfile  # here, because it would slow down every import of mmjax.data

    with warnings.catch_warnings():
        # SciPy warns of unknown chunks and of chunks after the samples.
        warnings.simplefilter("ignore", wavfile.WavFileWarning)
        rate, samples = wavfile.read(io.BytesIO(content))
    if reach:
        samples = samples[: reach(int(rate))]
    return Recording(in_unit_range(samples), int(rate))


def _compressed(content: bytes, kind: str, reach: Reach | None) -> Recording:
    try:
        import soundfile
    except (ModuleNotFoundError, OSError):  # OSError: without the library libsndfile
        raise MissingPackageError(
            f"{kind} files need soundfile: pip install 'mmjax[audio]'"
        ) from None
    if kind == "Ogg" and not _is_whole(content):
        raise UserError("cut short: the last page is missing")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if not 1 <= file.samplerate <= RATE_LIMIT:
                raise UserError(f"expected 1 to {RATE_LIMIT:,} samples/s, got {file.samplerate:,}")
            if file.frames == 2**63 - 1:  # libsndfile cannot read such a file to its end
                raise UserError("no number of samples in the header; write the file anew")
            wanted = reach(file.samplerate) if reach else file.frames
            count = min(file.frames, wanted)
            if count * file.channels > SAMPLE_LIMIT:
                raise UserError(f"expected at most {SAMPLE_LIMIT:,} samples, got more")
            samples = file.read(count, dtype="float32")
            if len(samples) < count:
                raise UserError(f"cut short: {len(samples):,} of {count:,} samples are left")
            return Recording(samples, file.samplerate)
    except soundfile.LibsndfileError as error:
        raise UserError(error.error_string) from None


def _is_whole(content: bytes) -> bool:
    """Whether an Ogg file ends with a page that says so: libsndfile reads others as empty.

    RFC 3533, https://www.rfc-editor.org/rfc/rfc3533.
    """
    place = content.rfind(b"OggS")
    if len(content) < place + 27:
        return False
    flags, table = content[place + 5], content[place + 27 : place + 27 + content[place + 26]]
    return bool(flags & 4) and place + 27 + len(table) + sum(table) <= len(content)


def _peak(samples: np.ndarray) -> Any:
    """The largest absolute value, computed without a copy; NaN if any sample is NaN."""
    return np.maximum(samples.max(initial=0.0), -samples.min(initial=0.0))


def in_unit_range(samples: np.ndarray) -> np.ndarray:
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
