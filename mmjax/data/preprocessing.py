"""All transforms of a model: fitted on the training split, kept beside its parameters."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cattrs
import numpy as np

from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.transform import Transform
from mmjax.io import json_file
from mmjax.types import Masked

TRANSFORMS: dict[str, type[Transform]] = {
    "image": ImageTransform,
    "text": TextTransform,
    "audio": AudioTransform,
    "table": TableTransform,
    "features": FeatureTransform,
}

FORMAT = 2  # 1 had no checksum
_CONVERTER = cattrs.Converter(forbid_extra_keys=True)
for _kind in (int, float, str):
    _CONVERTER.register_structure_hook(_kind, lambda value, kind: _literal(value, kind))
FILE = "preprocessing.json"


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """From raw examples to what encoders read: {modality: examples} -> {modality: Masked}."""

    transforms: Mapping[str, Transform]

    def __post_init__(self):
        for name in self.transforms:
            # Files are called after it: none outside the folder of a run.
            if not name or set(name) & set("/\\\0"):
                raise ValueError(f"modality {name!r}: expected a name without slashes")

    def __call__(self, examples: Mapping[str, Sequence | np.ndarray]) -> dict[str, Masked]:
        """A modality that `examples` does not have at all is missing in every row."""
        for name in examples:
            if name not in self.transforms:
                raise ValueError(
                    f"unknown modality {name!r}: choose from {', '.join(sorted(self.transforms))}"
                )
        lengths = {name: len(rows) for name, rows in examples.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"expected every modality to have as many rows, got {lengths}")
        (length,) = set(lengths.values())
        missing = [None] * length
        return {
            name: transform(examples.get(name, missing))
            for name, transform in self.transforms.items()
        }

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write preprocessing.json, and each vocabulary once more as text for people to read."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        transforms = {name: _to_json(value) for name, value in self.transforms.items()}
        json_file.write(folder / FILE, {"format": FORMAT, "transforms": transforms})
        for name, transform in self.transforms.items():
            if isinstance(transform, TextTransform):
                words = "".join(f"{word}\n" for word in transform.vocabulary())
                json_file.write_text(folder / f"vocabulary.{name}.txt", words)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Preprocessing":
        """What `save` wrote; ValueError where the file is damaged or of another format."""
        path = Path(folder) / FILE
        try:
            content = json_file.parse(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: expected the file of a finished run") from None
        got = content.get("format")
        if type(got) is not int or not 1 <= got <= FORMAT:
            raise ValueError(f"{path}: expected format 1 to {FORMAT}, got {got!r:.60}")
        if got > 1:
            content = json_file.read(path)
        transforms = content.get("transforms")
        if not isinstance(transforms, dict):
            raise ValueError(f"{path}: transforms: expected an object, got {transforms!r:.200}")
        fitted = {
            name: _from_json(value, where=f"{path}: transforms.{name}")
            for name, value in transforms.items()
        }
        try:
            return cls(fitted)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _to_json(transform: Transform) -> dict[str, Any]:
    (tag,) = (tag for tag, kind in TRANSFORMS.items() if type(transform) is kind)
    return {"type": tag, **dataclasses.asdict(transform)}


def _literal(value: Any, kind: type) -> Any:
    """No coercion: 3.7 is no number of words, and a list no text."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"expected {kind.__name__}, got {value!r:.60}")
    return kind(value)


def _from_json(value: Any, *, where: str) -> Transform:
    tag = value.get("type") if isinstance(value, dict) else value
    if not isinstance(value, dict) or not isinstance(tag, str) or tag not in TRANSFORMS:
        raise ValueError(f"{where}.type: got {tag!r:.200}, choose from {', '.join(TRANSFORMS)}")
    kind = TRANSFORMS[tag]
    parts = {name: part for name, part in value.items() if name != "type"}
    types: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(kind)}
    if parts.keys() != types.keys():
        raise ValueError(f"{where}: expected the fields {list(types)}, got {list(parts)}")
    fields = {}
    for name, part in parts.items():
        try:
            fields[name] = _CONVERTER.structure(part, types[name])
        except Exception as error:  # cattrs passes on whatever the conversion raises
            reasons = cattrs.transform_error(error, name, format_exception=lambda e, _: str(e))
            raise ValueError(
                f"{where}.{name}: expected {types[name]}, got {part!r:.200}: "
                f"{'; '.join(reasons[:20])}"
            ) from error
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
