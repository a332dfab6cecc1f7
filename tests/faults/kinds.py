"""Kinds of files that other people make, and the package's own reader of each."""

import gzip
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.config import storage
from mmjax.data.datasets.idx import read_idx
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms import tokenizer
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.evaluation.calibration import Calibration
from mmjax.evaluation.predictions import read_table
from mmjax.runs import log
from mmjax.types import Masked
from mmjax.weights import files
from tests.faults import good, media, tables
from tests.faults.good import ALL, AUDIO, FEATURES, IMAGE, TABLE


@dataclass(frozen=True)
class Kind:
    """`read` is what a user meets; it raises an error that names the file, or all is well."""

    file: str  # what the file is called
    good: Callable[[], list[bytes]]  # contents before they are packed
    read: Callable[[Path], Any]
    beside: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    packed: Callable[[bytes], bytes] = bytes  # what is done to a changed content


class UnnamedError(Exception):
    """An error that does not say which file, or a value that is none."""


def outcome(kind: Kind, path: Path) -> str:
    """`legal` or `error`; whatever else is raised is a fault."""
    try:
        kind.read(path)
    except (ValueError, OSError) as error:
        # Of an index it may be the shard beside it that is wrong.
        if str(path.parent) not in str(error):
            raise UnnamedError(f"{error!r:.300} does not name {path}") from error
        return "error"
    return "legal"


def write(kind: Kind, content: bytes, folder: Path) -> Path:
    """The file, and those that it needs, in a folder."""
    for name, made in kind.beside.items():
        if not (folder / name).exists():
            (folder / name).write_bytes(made())
    (folder / kind.file).write_bytes(content)
    return folder / kind.file


def fine(found: Masked) -> None:
    """What an encoder may be given."""
    if not np.isfinite(found.values).all() or found.mask.dtype != bool or found.mask[-1].any():
        raise UnnamedError(f"a value that is none: {found!r:.200}")


def row(transform: Transform) -> Callable[[Path], None]:
    """Reads a file as `mmjax predict` does."""

    def read(path: Path) -> None:
        value = transform.read(path.name, path.parent)
        transform.remarks(value)
        fine(transform([value, None]))

    return read


def _table(path: Path) -> None:
    """What stands in a cell of a batch has no file of its own: the modality is named."""
    try:
        value = TABLE.read(path.read_bytes().decode("utf-8", "surrogateescape"), path.parent)
        TABLE.remarks(value)
        fine(TABLE([value, None]))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _csv(path: Path) -> None:
    for found in read_table(path, ALL):
        if found.error and not str(found.error).startswith(f"{path}:{found.line}: "):
            raise UnnamedError(f"{found.error!r:.300} does not name {path}:{found.line}")
        for name, value in found.inputs.items():
            fine(ALL.transforms[name]([value, None]))


def _preprocessing(path: Path) -> None:
    found = Preprocessing.load(path.parent)
    if found.transforms:
        for value in found({name: [None] for name in found.transforms}).values():
            fine(value)
    for value in found.targeted({}, np.zeros(1, int)).values():
        fine(value)


def _calibration(path: Path) -> None:
    found = Calibration.load(path.parent)
    found.words()
    for name, one in found.classes.items():
        try:
            shape = (2,) if len(one.limits) == 2 else (2, len(one.limits))
            logits = found.logits(name, np.linspace(-2, 2, math.prod(shape)).reshape(shape))
        except UserError as error:
            raise ValueError(f"{path}: {error}") from error
        if not np.isfinite(logits).all():
            raise UnnamedError(f"logits that are none: {logits!r:.200}")


def _vocabulary(path: Path) -> None:
    found = TextTransform(max_words=600, tokenizer=tokenizer.load(path))
    found.remarks("a cup")
    try:
        fine(found([found.read("A \u05d0\U0001f600 hello worlds", path.parent), None]))
    except ValueError as error:  # of a text, not of the file
        raise ValueError(f"{path}: {error}") from error


def _records(path: Path) -> None:
    for found in log.read(path):
        if not isinstance(found, dict):
            raise UnnamedError(f"a record that is none: {found!r:.200}")


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


_BESIDE = {"a.png": lambda: good.pictures("png")[0], "a.npy": lambda: good.arrays()[0]}

KINDS = {
    "png": Kind("a.png", lambda: good.pictures("png"), row(IMAGE)),
    "jpeg": Kind("a.jpg", lambda: good.pictures("jpeg"), row(IMAGE)),
    "webp": Kind("a.webp", lambda: good.pictures("webp"), row(IMAGE)),
    "wav": Kind("a.wav", good.sounds, row(AUDIO)),
    "gif": Kind("a.gif", lambda: media.pictures("gif"), row(IMAGE)),
    "bmp": Kind("a.bmp", lambda: media.pictures("bmp"), row(IMAGE)),
    "tiff": Kind("a.tif", lambda: media.pictures("tiff"), row(IMAGE)),
    "avif": Kind("a.avif", lambda: media.pictures("avif"), row(IMAGE)),
    "dicom": Kind("a.dcm", media.dicoms, row(IMAGE)),
    "flac": Kind("a.flac", lambda: media.sounds("FLAC"), row(AUDIO)),
    "ogg": Kind("a.ogg", lambda: media.sounds("OGG"), row(AUDIO)),
    "mp3": Kind("a.mp3", lambda: media.sounds("MP3"), row(AUDIO)),
    "other wav": Kind("a.wav", media.wavs, row(AUDIO)),
    "ply": Kind("a.ply", media.plys, media.read_points),
    "pcd": Kind("a.pcd", media.pcds, media.read_points),
    "bin": Kind("a.bin", media.kitti, media.read_points),
    "series": Kind("a.csv", media.series, media.read_series),
    "npy": Kind("a.npy", good.arrays, row(FEATURES)),
    "idx": Kind("a.gz", lambda: [_packed(good.idx())], read_idx),
    "idx content": Kind("a.gz", lambda: [good.idx(), good.idx((7,))], read_idx, packed=_packed),
    "csv": Kind("pairs.csv", lambda: [good.CSV.encode()], _csv, _BESIDE),
    "separated": Kind("a.csv", lambda: tables.CSV, tables.read),
    "json lines": Kind("a.jsonl", lambda: [tables.JSON_LINES], tables.read),
    "parquet": Kind("a.parquet", tables.parquet, tables.read),
    "plain parquet": Kind("a.parquet", tables.plain_parquet, tables.read),
    "npy table": Kind("a.npy", tables.npys, tables.read),
    "npz": Kind("a.npz", lambda: [tables.npz(*tables.npys())], tables.read),
    "npz content": Kind("a.npz", tables.npys, tables.read, packed=tables.npz),
    "hdf5": Kind("a.h5", tables.hdf5, tables.read),
    "tar": Kind("a.tar", tables.tars, tables.read, packed=tables.with_checksums),
    "tar.gz": Kind("a.tar.gz", lambda: [_packed(c) for c in tables.tars()], tables.read),
    "tar.gz content": Kind("a.tar.gz", tables.tars, tables.read, packed=_packed),
    "array_record": Kind(
        tables.RECORDS,
        lambda: [tables.array_record()[tables.RECORDS]],
        tables.read,
        {"features.json": lambda: tables.array_record()["features.json"]},
    ),
    "features.json": Kind(
        "features.json",
        lambda: [tables.array_record()["features.json"]],
        tables.read_features,
        {tables.RECORDS: lambda: tables.array_record()[tables.RECORDS]},
    ),
    "table": Kind("cell.json", good.cells, _table),
    "safetensors": Kind("a.safetensors", good.weights, files.read),
    "index": Kind(f"a{files.INDEX}", good.indices, files.read, {good.SHARD: good.shard}),
    "config": Kind("config.json", good.config, storage.load),
    "preprocessing": Kind("preprocessing.json", good.preprocessing, _preprocessing),
    "calibration": Kind("calibration.json", good.calibrations, _calibration),
    "tokenizer": Kind("tokenizer.json", good.tokenizers, _vocabulary),
    "vocabulary": Kind("vocab.txt", lambda: [good.VOCABULARY], _vocabulary),
    "metrics": Kind("metrics.jsonl", lambda: [good.RECORDS], _records),
}
