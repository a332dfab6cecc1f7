"""Media: good files of the kinds that are not in `good`, and the package's readers of them."""

import io
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from mmjax.data.media.points import open_points
from mmjax.data.media.series import open_series
from tests.data.media.dicoms import dicom
from tests.faults.good import encoded, npy, picture

_WAVE = (np.sin(np.arange(400) / 7) / 2).astype(np.float32)
_POINTS = np.arange(12, dtype="<f4").reshape(3, 4)
_TEXT = b"".join(b"%d %d.5 -%d 1e2\n" % (i, i, i) for i in range(3))


@cache
def pictures(suffix: str) -> list[bytes]:
    """One of each mode and of each compression."""
    modes = {"gif": "L RGB", "bmp": "1 L P RGB RGBA", "avif": "RGB RGBA", "tiff": "1 L RGB I;16"}
    options = {"tiff": [{"compression": c} for c in ("raw", "tiff_lzw", "tiff_deflate", "jpeg")]}
    found = [
        encoded(picture(mode), suffix, **more)
        for mode in modes[suffix].split()
        for more in options.get(suffix, [{}])
        if more.get("compression") != "jpeg" or mode in ("L", "RGB")
    ]
    if suffix == "bmp":
        return found
    frames = [picture("RGB").rotate(180)]
    return [*found, encoded(picture("RGB"), suffix, save_all=True, append_images=frames)]


@cache
def dicoms() -> list[bytes]:
    """Grey of 8 and 16 bits, signed or not, with a window, compressed, and RGB."""
    grey = np.arange(48, dtype=np.uint16).reshape(6, 8) * 80
    colour = np.arange(144, dtype=np.uint8).reshape(6, 8, 3)
    return [
        dicom(grey, bits=12),
        dicom(grey.astype(np.int16), RescaleSlope=2, RescaleIntercept=-9),
        dicom(
            grey, WindowCenter=[9, 1], WindowWidth=[99, 1], PhotometricInterpretation="MONOCHROME1"
        ),
        dicom(colour),
        dicom(colour[..., 0], compressed=True),
    ]


@cache
def sounds(kind: str, subtype: str | None = None) -> list[bytes]:
    """In mono and stereo."""
    import soundfile

    found = []
    for samples in (_WAVE, np.stack([_WAVE, -_WAVE], axis=1)):
        file = io.BytesIO()
        soundfile.write(file, samples, 8000, format=kind, subtype=subtype)
        found.append(file.getvalue())
    return found


def wavs() -> list[bytes]:
    """Of codecs that SciPy does not read, and of streams."""
    plain = sounds("WAV", "PCM_16")[0]
    place = plain.index(b"data") + 4
    streams = [plain[:place] + struct.pack("<I", n) + plain[place + 4 :] for n in (0, 2**32 - 1)]
    return [*sounds("WAV", "ULAW"), *sounds("WAV", "IMA_ADPCM"), *streams]


def plys() -> list[bytes]:
    """In ASCII and in both orders of bytes."""
    head = b"ply\nformat %s 1.0\nelement vertex 3\n"
    head += b"".join(b"property float %c\n" % name for name in b"xyzw") + b"end_header\n"
    return [
        head % b"ascii" + _TEXT,
        head % b"binary_little_endian" + _POINTS.tobytes(),
        head % b"binary_big_endian" + _POINTS.astype(">f4").tobytes(),
    ]


def pcds() -> list[bytes]:
    """In ASCII and binary."""
    head = (
        b"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\n"
    )
    head += b"WIDTH 3\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 3\nDATA %s\n"
    return [head % b"ascii" + _TEXT, head % b"binary" + _POINTS.tobytes()]


def kitti() -> list[bytes]:
    """Three points."""
    return [_POINTS.tobytes()]


SERIES = [b"time,a\n0,1\n0.5,-2e3\n", b"day;a\n2024-01-01;1,5\n2024-01-02T03:04Z;2\n"]


def series() -> list[bytes]:
    """CSV files and an array."""
    return [*SERIES, npy(_POINTS)]


def numbers(opened: Callable[[Path], np.ndarray]) -> Callable[[Path], None]:
    """Reads an array of numbers `[row, column]`."""

    def read(path: Path) -> None:
        found = opened(path)
        assert found.ndim == 2 and found.dtype.kind == "f", found

    return read


read_points, read_series = numbers(open_points), numbers(open_series)


def tiff_of(width: int, height: int) -> bytes:
    """Of zeros, which are compressed to next to nothing."""
    content = bytearray(encoded(Image.new("L", (64, 64)), "tiff", compression="tiff_deflate"))
    for tag, value in ((256, width), (257, height)):
        place = content.index(struct.pack("<HHI", tag, 4, 1)) if _long(content, tag) else -1
        if place < 0:
            place = content.index(struct.pack("<HHI", tag, 3, 1))
            struct.pack_into("<H", content, place + 2, 4)
        struct.pack_into("<I", content, place + 8, value)
    return bytes(content)


def _long(content: bytes, tag: int) -> bool:
    return struct.pack("<HHI", tag, 4, 1) in content


def deflated_dicom() -> bytes:
    """Which could unpack to all memory."""
    import pydicom

    data = pydicom.dcmread(io.BytesIO(dicom(np.zeros((4000, 4000), np.uint8))))
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


def silence() -> bytes:
    """Of an hour, in 100 kB."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros(60_000_000, np.int16), 16_000, format="FLAC")
    return file.getvalue()
