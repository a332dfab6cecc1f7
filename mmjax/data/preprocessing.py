"""All transforms of a model: fitted on the training split, kept beside its parameters."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cattrs
import numpy as np

from mmjax.data.audio import AudioTransform
from mmjax.data.features import FeatureTransform
from mmjax.data.image import ImageTransform
from mmjax.data.table import TableTransform
from mmjax.data.text import TextTransform
from mmjax.data.transform import Transform
from mmjax.types import Input

TRANSFORMS: dict[str, type[Transform]] = {
    "image": ImageTransform,
    "text": TextTransform,
    "audio": AudioTransform,
    "table": TableTransform,
    "features": FeatureTransform,
}

FORMAT = 1
_CONVERTER = cattrs.Converter(forbid_extra_keys=True)
_FILE = "preprocessing.json"


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """From raw examples to what encoders read: {modality: examples} -> {modality: Input}."""

    transforms: Mapping[str, Transform]

    def __call__(self, examples: Mapping[str, Sequence | np.ndarray]) -> dict[str, Input]:
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
        text = json.dumps({"format": FORMAT, "transforms": transforms}, indent=2)
        # Replaced in one piece: a reader never meets a half-written file.
        draft = folder / f"{_FILE}.{os.getpid()}"
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(folder / _FILE)
        for name, transform in self.transforms.items():
            if isinstance(transform, TextTransform):
                words = "".join(f"{word}\n" for word in transform.vocabulary())
                (folder / f"vocabulary.{name}.txt").write_text(words, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Preprocessing":
        """What `save` wrote; ValueError where the file is damaged or of another format."""
        path = Path(folder) / _FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: expected the file of a finished run") from None
        except ValueError as error:
            raise ValueError(f"{path}: expected JSON, got {error}; is it cut short?") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            got = content.get("format") if isinstance(content, dict) else content
            raise ValueError(f"{path}: expected format {FORMAT}, got {got!r}")
        transforms = content.get("transforms")
        if not isinstance(transforms, dict):
            raise ValueError(f"{path}: transforms: expected an object, got {transforms!r}")
        return cls(
            {
                name: _from_json(value, where=f"{path}: transforms.{name}")
                for name, value in transforms.items()
            }
        )


def _to_json(transform: Transform) -> dict[str, Any]:
    (tag,) = (tag for tag, kind in TRANSFORMS.items() if type(transform) is kind)
    return {"type": tag, **dataclasses.asdict(transform)}


def _from_json(value: Any, *, where: str) -> Transform:
    if not isinstance(value, dict) or value.get("type") not in TRANSFORMS:
        got = value.get("type") if isinstance(value, dict) else value
        raise ValueError(f"{where}.type: got {got!r}, choose from {', '.join(TRANSFORMS)}")
    kind = TRANSFORMS[value["type"]]
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
                f"{where}.{name}: expected {types[name]}, got {part!r:.200}: {'; '.join(reasons)}"
            ) from error
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
