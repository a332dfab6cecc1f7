"""Special files, each with a name: (kind, content, what it must be)."""

import gzip
import json
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults import good, media, tables
from tests.faults.good import dumped, encoded, npy, picture


def png(width: int, height: int, body: bytes = b"", more: bytes = b"") -> bytes:
    """Put together by hand: of any size, with any chunks in it."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = _chunk(b"IDAT", zlib.compress(body)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + more + data


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _scans() -> bytes:
    """A JPEG that goes over its pixels again and again."""
    whole = encoded(Image.new("L", (4000, 4000)), "jpeg", progressive=True)
    begin = whole.rindex(b"\xff\xda")
    return whole[:begin] + whole[begin:-2] * 2000 + b"\xff\xd9"


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 3
    return encoded(picture("RGB"), "jpeg", exif=exif)


def _broken_exif() -> bytes:
    return encoded(picture("RGB"), "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x12\x01" * 9)


def _animated(suffix: str) -> bytes:
    frames = [picture("RGB").rotate(angle) for angle in (90, 180)]
    return encoded(picture("RGB"), suffix, save_all=True, append_images=frames)


def _csv(text: str, mark: str = "") -> Callable[[], bytes]:
    return lambda: (mark + text).encode("utf-8", "surrogatepass")


class _Code:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("executed"),)


def _header(text: str) -> bytes:
    """An .npy file of this header and 64 bytes."""
    body = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body + bytes(64)


def _shape(shape: str, kind: str = "'<f8'") -> Callable[[], bytes]:
    return lambda: _header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}")


def _tensors(header: object, size: int = 24, data: int = 24) -> Callable[[], bytes]:
    def made() -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", size if size > 24 else len(text)) + text + bytes(data)

    return made


def _tensor(begin: int, end: int, kind: str = "F32", shape: tuple = (3,)) -> dict:
    return {"dtype": kind, "shape": shape, "data_offsets": (begin, end)}


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _index(shard: object) -> Callable[[], bytes]:
    return lambda: dumped({"weight_map": {"a": shard}})


def _config(**changes: object) -> Callable[[], bytes]:
    return lambda: dumped(json.loads(good.config()[0]) | changes)


def _tokenizer(**changes: object) -> Callable[[], bytes]:
    return lambda: dumped(json.loads(good.TEXT.tokenizer) | changes)


_DEEP = "[" * 100_000
_DOUBLED = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
_ENDLESS = {"Regex": "(\\w+\\s?)+\u2603$"}
_HUGE = "cup " * 25_000

SPECIAL: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a picture of no pixels": ("png", lambda: png(0, 4), "error"),
    "a JPEG of CMYK": ("jpeg", lambda: encoded(picture("CMYK"), "jpeg"), "legal"),
    "a PNG of 16 bits": ("png", lambda: encoded(picture("I;16"), "png"), "legal"),
    "a palette": ("png", lambda: encoded(picture("P"), "png", transparency=3), "legal"),
    "an animated PNG": ("png", lambda: _animated("png"), "legal"),
    "an animated WebP": ("webp", lambda: _animated("webp"), "legal"),
    "a picture upside down": ("jpeg", _turned, "legal"),
    "EXIF data that are none": ("jpeg", _broken_exif, "legal"),
    "a GIF called PNG": ("png", lambda: encoded(picture("P"), "gif"), "legal"),
    "a PPM called PNG": ("png", lambda: encoded(picture("RGB"), "ppm"), "error"),
    "a bomb in TIFF": ("tiff", lambda: media.tiff_of(60_000, 60_000), "error"),
    "a bomb in GIF": ("gif", lambda: encoded(Image.new("L", (9000, 9000)), "gif"), "error"),
    "a bomb in BMP": ("bmp", lambda: b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 30_000,
                      30_000, 1, 8, 1, 0, 1, 1, 0, 0), "error"),
    "a deflated DICOM file": ("dicom", media.deflated_dicom, "error"),
    "a FLAC file of an hour of silence": ("flac", media.silence, "legal"),
    "a DICOM file of nothing": ("dicom", lambda: bytes(128) + b"DICM", "error"),
    "a PLY file that claims all memory": ("ply", lambda: media.plys()[1].replace(
        b"vertex 3", b"vertex 9999999999999"), "error"),
    "a PCD file that claims all memory": ("pcd", lambda: media.pcds()[1].replace(
        b"COUNT 1 1 1 1", b"COUNT 1 1 1 999999999"), "error"),
    "a PLY file of endless fields": ("ply", lambda: media.plys()[1].replace(
        b"end_header", b"property float a\n" * 5000 + b"end_header"), "error"),
    "a series in one line": ("series", lambda: b"a\n" + b"9" * 10**7, "error"),
    "a series of NUL bytes": ("series", lambda: bytes(1000), "error"),
    "a bomb of zeros": ("png", lambda: png(40_000, 40_000, bytes(10**6)), "error"),
    "a bomb just above the limit": ("png", lambda: png(7_072, 7_072), "error"),
    "a bomb of text": ("png", lambda: png(1, 1, b"\0\0", _chunk(b"zTXt", b"a\0\0"
                       + zlib.compress(bytes(10**8)))), "legal"),
    "a bomb in WebP": ("webp", lambda: encoded(Image.new("L", (8000, 8000)), "webp",
                       lossless=True, method=0), "error"),
    "a bomb of scans": ("jpeg", _scans, "error"),
    "an empty WAV": ("wav", bytes, "error"),
    "a WAV of many chunks": ("wav", lambda: good.sounds()[0][:12]
                             + b"".join(b"%04x\0\0\0\0" % n for n in range(60_000)), "error"),
    "an empty PNG": ("png", bytes, "error"),
    "an .npy of pickles": ("npy", lambda: npy(np.array([_Code()], object), allow_pickle=True),
                           "error"),
    "a pickle called .npy": ("npy", lambda: pickle.dumps(_Code()), "error"),
    "an .npy of columns": ("npy", lambda: npy(np.zeros(3, "f8,i4")), "error"),
    "an .npy of numbers in Fortran's order": ("npy", lambda: npy(np.ones((4, 2), order="F")),
                                              "legal"),
    "an .npy that claims all memory": ("npy", _shape("(4611686018427387904, 2)"), "error"),
    "an .npy of a negative length": ("npy", _shape("(-4, 2)"), "error"),
    "an .npy of no rows and endless columns": ("npy", _shape("(0, 99999999999999999999)"), "error"),
    "an .npy that computes": ("npy", _shape("__import__('os').mkdir('executed')"), "error"),
    "an .npy of nested brackets": ("npy", lambda: _header("(" * 5000), "error"),
    "an .npy of signs": ("npy", lambda: _header("-" * 9000 + "1"), "error"),
    "an IDX of 255 axes": ("idx", lambda: _gzip(bytes([0, 0, 8, 255]) + bytes(1020)),
                           "error"),
    "an IDX of 65 axes of length 1": ("idx", lambda: _gzip(good.idx((1,) * 65)), "error"),
    "an IDX of no rows and endless columns": ("idx", lambda: _gzip(
        bytes([0, 0, 8, 4]) + bytes(4) + b"\xff" * 12), "error"),
    "an IDX bomb": ("idx", lambda: _gzip(
        bytes([0, 0, 8, 2, 0, 0, 255, 255, 0, 0, 255, 255]) + bytes(10**8)), "error"),
    "a CSV with a byte-order mark": ("csv", _csv("text\nx\n", "\ufeff"), "legal"),
    "a CSV in UTF-16": ("csv", lambda: "text\nx\n".encode("utf-16"), "legal"),
    "a CSV of quoted newlines": ("csv", _csv('text,image\n"a\n\r\nb",a.png\n'), "legal"),
    "a CSV with a column that is missing": ("csv", _csv("text\nx\n"), "legal"),
    "a CSV with rows that lack cells": ("csv", _csv("text,image\nx\n"), "legal"),
    "a CSV of NUL bytes": ("csv", _csv("text\na\0b\n"), "legal"),
    "a CSV whose header is NUL bytes": ("csv", lambda: bytes(1000), "error"),
    "an empty CSV": ("csv", bytes, "error"),
    "a CSV of empty captions": ("csv", _csv('text,image\n"",a.png\n'), "legal"),
    "a CSV of a huge caption": ("csv", _csv(f"text\n{_HUGE}\n"), "legal"),
    "a CSV of a caption beyond measure": ("csv", _csv("text\n" + "x" * 2_000_000), "legal"),
    "a CSV of a row beyond measure": ("csv", _csv("text\n" + "x" * 11_000_000), "error"),
    "a shard that unpacks to much more": ("tar.gz", lambda: gzip.compress(
        tables.member(10**9)), "error"),
    "a shard of a file that is not there": ("tar", lambda: tables.member(10**12), "error"),
    "a shard that leads out": ("tar", lambda: tables.member(0, "../a.jpg") + bytes(10240), "legal"),
    "a Parquet file of one long text": ("parquet", tables.repeated, "legal"),
    "an HDF5 file of nothing": ("hdf5", tables.unwritten, "error"),
    "an array of endless rows": ("npy table", lambda: npy(np.zeros((10**15, 0))), "error"),
    "an array of objects": ("npy table", lambda: npy(
        np.array([_Code()], object), allow_pickle=True), "error"),
    "a CSV from right to left": ("csv", _csv("text\n\u202e\u05e9\u05dc\u05d5\u05dd \u0645\n"),
                                 "legal"),
    "a CSV of emoji": ("csv", _csv("text\n\U0001f468\u200d\U0001f469\u200d\U0001f467\n"), "legal"),
    "a CSV that names a device": ("csv", _csv("image\n/dev/zero\n"), "legal"),
    "a CSV that names a folder": ("csv", _csv("image\n.\n"), "legal"),
    "a cell of nested brackets": ("table", lambda: b'{"age": ' + _DEEP.encode(), "error"),
    "a cell of a long number": ("table", lambda: b'{"age": ' + b"9" * 9999 + b"}", "error"),
    "a cell of no number": ("table", lambda: b'{"age": NaN}', "legal"),
    "a cell of infinity": ("table", lambda: b'{"age": -Infinity}', "error"),
    "a cell with a column twice": ("table", lambda: b'{"age": 1, "age": 2}', "error"),
    "a cell of a lone surrogate": ("table", lambda: b'{"sex": "\\ud800"}', "legal"),
    "tensors with a header of 2**63 bytes": ("safetensors", _tensors({}, 2**63), "error"),
    "tensors with a header of 100 MB": ("safetensors", _tensors({}, 10**8), "error"),
    "tensors that overlap": ("safetensors", _tensors(
        {"a": _tensor(0, 12), "b": _tensor(6, 18)}), "error"),
    "tensors that end before they begin": ("safetensors", _tensors({"a": _tensor(12, 0)}), "error"),
    "tensors of a type that is none": ("safetensors", _tensors({"a": _tensor(0, 24, "X9")}),
                                       "error"),
    "tensors larger than all memory": ("safetensors", _tensors(
        {"a": _tensor(0, 24, shape=(2**62, 2**62))}), "error"),
    "tensors with a hole between them": ("safetensors", _tensors(
        {"a": _tensor(0, 4, shape=(1,)), "b": _tensor(8, 24, shape=(4,))}), "error"),
    "tensors of nested brackets": ("safetensors", _tensors(_DEEP.encode()), "error"),
    "a pickle called safetensors": ("safetensors", lambda: pickle.dumps(_Code()), "error"),
    "a shard above the folder": ("index", _index("../out.safetensors"), "error"),
    "a shard at the root": ("index", _index("/out.safetensors"), "error"),
    "a shard of a lone surrogate": ("index", _index("\ud800.safetensors"), "error"),
    "an index of nested brackets": ("index", _DEEP.encode, "error"),
    "an index of a long number": ("index", lambda: b"9" * 5000, "error"),
    "a configuration of nested brackets": ("config", _DEEP.encode, "error"),
    "a configuration of nested objects": ("config", _config(
        model=json.loads('{"type":' * 300 + "1" + "}" * 300)), "error"),
    "a configuration of a long number": ("config", lambda: b'{"a": ' + b"9" * 5000 + b"}", "error"),
    "a configuration of a type that is a list": ("config", _config(model={"type": []}), "error"),
    "a configuration that names a class": ("config", _config(model={"type": "os.system"}), "error"),
    "a configuration in UTF-16": ("config", lambda: "{}".encode("utf-16"), "error"),
    "preprocessing of nested brackets": ("preprocessing", _DEEP.encode, "error"),
    "preprocessing of a type that is a list": ("preprocessing", lambda: dumped(
        {"checksum": None, "format": 2, "transforms": {"x": {"type": []}}}), "error"),
    "preprocessing of endless texts": ("preprocessing", lambda: good.preprocessing()[0].replace(
        b'"max_words": 6', b'"max_words": 999999999999'), "error"),
    "a tokenizer that doubles what it reads": ("tokenizer", _tokenizer(
        normalizer={"type": "Sequence", "normalizers": [_DOUBLED] * 40}), "error"),
    "a tokenizer of an endless expression": ("tokenizer", _tokenizer(
        pre_tokenizer={"type": "Split", "pattern": _ENDLESS, "behavior": "Isolated",
                       "invert": False}), "legal"),
    "a tokenizer of nested brackets": ("tokenizer", _DEEP.encode, "error"),
    "a vocabulary of NUL bytes": ("vocabulary", lambda: bytes(10), "error"),
    "records of nested brackets": ("metrics", lambda: _DEEP.encode() + b"\n{}\n", "error"),
    "records of a long number": ("metrics", lambda: b"9" * 5000 + b"\n{}\n", "error"),
    "records that are none": ("metrics", lambda: b"[]\n3\n{}\n", "error"),
    "records that are no text": ("metrics", lambda: b"\xff\xfe\n{}\n", "error"),
}  # fmt: skip
