"""Good files of every kind, made here: what hostile ones are made from."""

import dataclasses
import io
import json
import struct
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save
from scipy.io import wavfile

from mmjax.config import storage
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Binary, Category, Group, MultiLabel, Number
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.evaluation.calibration import Calibration, Classes
from tests.config.experiments import SMALL
from tests.data.transforms.tokenizers import bert_json, gpt2_json
from tests.stored.store import HERE

_PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 4), np.uint8)

IMAGE = ImageTransform(shape=(8, 8, 3), mean=(0.5,) * 3, std=(0.25,) * 3)
AUDIO = AudioTransform(sample_rate=8000, max_samples=400)
FEATURES = FeatureTransform(max_tokens=3, mean=(1.0, -2.0), std=(2.0, 0.5))
TABLE = TableTransform.fit([{"age": 40, "sex": "f"}, {"age": 60, "sex": "m"}])
TEXT = TextTransform.fit(["a cup of tea", "no cup"], vocabulary_size=20, max_words=6)
TARGETS = {
    "match": Binary(),
    "digit": Category(("one", "two"), (3, 1), "missing"),
    "person": Group(),
    "colours": MultiLabel(("blue", "red")),
    "weight": Number(2.0, 0.5, "kg"),
}
ALL = Preprocessing({"image": IMAGE, "text": TEXT, "table": TABLE, "touch": FEATURES}, TARGETS)


@cache
def pictures(suffix: str) -> list[bytes]:
    """One of each mode that the format has."""
    modes = {"png": "1 L LA P RGB RGBA I;16", "jpeg": "L RGB CMYK", "webp": "RGB RGBA"}[suffix]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    return [
        encoded(picture(mode), suffix, **options)
        for mode in modes.split()
        for options in ({}, {"exif": exif})
    ] + [encoded(picture("RGB"), suffix, **_more(suffix))]


def _more(suffix: str) -> dict[str, Any]:
    if suffix == "jpeg":
        return {"progressive": True, "comment": b"words"}
    return {"save_all": True, "append_images": [picture("RGB").rotate(180)]}


def picture(mode: str) -> Image.Image:
    """Of noise."""
    if mode == "I;16":
        return Image.fromarray(_PIXELS[..., 0].astype(np.uint16) * 257)
    return Image.fromarray(_PIXELS).convert(mode)


def encoded(image: Image.Image, suffix: str, **options: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


@cache
def sounds() -> list[bytes]:
    """One of each type of number."""
    wave = np.sin(np.arange(300) / 7)
    found = [(wave * 2**14).astype(np.int16), (wave * 99 + 128).astype(np.uint8)]
    found += [wave.astype(np.float32), wave, np.stack([wave, wave], 1).astype(np.float32)]
    written = []
    for samples in found:
        file = io.BytesIO()
        wavfile.write(file, 11_025, samples)
        written.append(file.getvalue())
    return written


def idx(shape: tuple[int, ...] = (3, 4, 5), magic: int = 0x08) -> bytes:
    """Before it is packed."""
    count = int(np.prod(shape))
    return struct.pack(f">I{len(shape)}I", magic << 8 | len(shape), *shape) + bytes(count)


def npy(values: np.ndarray, **options: Any) -> bytes:
    """An array as NumPy writes it."""
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


def arrays() -> list[bytes]:
    """Rows of features."""
    values = np.arange(8.0).reshape(4, 2)
    return [npy(v) for v in (values, np.asfortranarray(values), values[0].astype("<f2"))]


def tensors(*names: str) -> bytes:
    """A safetensors file."""
    return save({name: np.arange(6, dtype=np.float32).reshape(2, 3) for name in names})


def dumped(content: Any) -> bytes:
    """As JSON."""
    return json.dumps(content, indent=1).encode()


@cache
def older(name: str) -> list[bytes]:
    """The file of runs that earlier versions wrote."""
    found = []
    for path in sorted(HERE.glob("*.tar.xz")):
        with tarfile.open(path) as archive:
            content = json.load(archive.extractfile(f"run/{name}"))
        found.append(dumped(content | {"checksum": None}))
    return found


def config() -> list[bytes]:
    """As of a run's folder."""
    # Without a checksum to be held against: it would find what is to be found behind it.
    return [dumped({"checksum": None, **storage.to_json(SMALL)}), *older("config.json")]


def preprocessing() -> list[bytes]:
    """As of a run's folder."""
    with tempfile.TemporaryDirectory() as folder:
        ALL.save(folder)
        content = json.loads((Path(folder) / "preprocessing.json").read_bytes())
    return [dumped(content | {"checksum": None}), *older("preprocessing.json")]


def calibrations() -> list[bytes]:
    """Of temperatures and of isotonic functions."""
    line = [[0.0, 0.4, 1.0], [0.0, 0.4, 1.0]]
    isotonic = {"knots": line, "values": [[0.0, 0.3, 1.0], [0.0, 0.7, 1.0]]}
    fitted = (Classes(1.5, None, [0.5, None]), Classes(None, isotonic, [0.5, 0.6]))
    found = [Calibration(3, "validation", 0.1, {"y": one}, {"x": 2.5}) for one in fitted]
    return [dumped({"checksum": None, **dataclasses.asdict(one)}) for one in found]


SHARD = "model-1.safetensors"
CSV = 'image,text,table,touch\na.png,a cup,"{""age"": 63}",a.npy\n,"two\nlines",,\nb.png,x,,\n'
VOCABULARY = b"[UNK]\n[CLS]\n[SEP]\na\ncup\n##s\n"
RECORDS = b"""{"step": 1, "split": "train", "loss": 0.5}
{"step": 2, "split": "test", "loss": 0.25}
"""


def shard() -> bytes:
    """What `indices` name."""
    return tensors("a", "b")


def indices() -> list[bytes]:
    """Of published weights in several files."""
    return [dumped({"metadata": {"total_size": 48}, "weight_map": {"a": SHARD, "b": SHARD}})]


def weights() -> list[bytes]:
    """Published in one file."""
    return [tensors("a", "b"), tensors("c")]


def cells() -> list[bytes]:
    """Rows of a table."""
    return [b'{"age": 63, "sex": "f"}', b'{"age": null}']


@cache
def tokenizers() -> list[bytes]:
    """Published ones, and our own."""
    return [text.encode() for text in (bert_json(), gpt2_json(), TEXT.tokenizer)]
