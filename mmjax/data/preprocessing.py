"""The transforms and targets of a model: fitted on the training split, saved with its run."""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import cattrs
import numpy as np

from mmjax.data.targets import TARGETS, Target
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.transform import Transform
from mmjax.errors import MissingFileError, UserError
from mmjax.io import json_file
from mmjax.types import Masked

TRANSFORMS: dict[str, type[Transform]] = {
    "image": ImageTransform,
    "text": TextTransform,
    "audio": AudioTransform,
    "table": TableTransform,
    "features": FeatureTransform,
}
FILE = "preprocessing.json"
FORMATS = (2, 3)  # 1 had no checksum; 2 has no targets


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """From raw examples to the inputs of encoders and the targets of objectives."""

    transforms: Mapping[str, Transform]  # by modality
    targets: Mapping[str, Target] = dataclasses.field(default_factory=dict)  # by name

    def __post_init__(self):
        for name in (*self.transforms, *self.targets):
            # Files are named after it, and must not be outside the run's folder.
            if not name or set(name) & set("/\\\0"):
                raise UserError(f"modality or target {name!r}: expected a name without slashes")

    def __call__(self, examples: Mapping[str, Sequence | np.ndarray]) -> dict[str, Masked]:
        """The inputs of encoders; a modality that is not in `examples` is missing."""
        for name in examples:
            if name not in self.transforms:
                raise UserError(
                    f"unknown modality {name!r}: choose from {', '.join(sorted(self.transforms))}"
                )
            if isinstance(examples[name], (str, bytes)):
                raise UserError(
                    f"{name}: expected a list of rows, got one {type(examples[name]).__name__}"
                )
        lengths = {name: len(rows) for name, rows in examples.items()}
        if len(set(lengths.values())) != 1:
            raise UserError(f"expected every modality to have as many rows, got {lengths}")
        missing = [None] * next(iter(lengths.values()))
        return {
            name: transform(examples.get(name, missing))
            for name, transform in self.transforms.items()
        }

    def using(self, modalities: Collection[str]) -> "Preprocessing":
        """The preprocessing of some modalities alone; all targets stay."""
        kept = {name: t for name, t in self.transforms.items() if name in modalities}
        return dataclasses.replace(self, transforms=kept)

    def sharing(self, shared: Mapping[str, str]) -> "Preprocessing":
        """With modalities that are read as others are: `{modality: the other}`.

        Raises:
            UserError: there is no such modality.
        """
        if unknown := sorted({*shared, *shared.values()} - {*self.transforms}):
            raise UserError(
                f"--model.shared: the data have no modality {', '.join(unknown)}; choose from "
                f"{', '.join(sorted(self.transforms))}"
            )
        same = {name: self.transforms[other] for name, other in shared.items()}
        return dataclasses.replace(self, transforms={**self.transforms, **same})

    def read(self, examples: Mapping[str, Sequence | np.ndarray]) -> dict[str, Masked]:
        """The inputs of encoders; modalities that have no transform are left out."""
        return self({name: rows for name, rows in examples.items() if name in self.transforms})

    def targeted(
        self, rows: Mapping[str, Sequence | np.ndarray], ids: np.ndarray
    ) -> dict[str, Masked]:
        """The targets of the examples `ids`; a UserError names the target and the examples."""
        targets = {}
        for name, target in self.targets.items():
            values = rows.get(name, [None] * len(ids))
            if len(values) != len(ids):
                raise UserError(f"target {name!r}: expected {len(ids)} rows, got {len(values)}")
            try:
                targets[name] = target(values)
            except UserError as error:
                where = f"target {name!r}, examples {ids[0]} to {ids[-1]}"
                raise UserError(f"{where}: {error}") from None
        return targets

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write preprocessing.json, and the words of each vocabulary for people to read."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        transforms = {name: _to_json(value, TRANSFORMS) for name, value in self.transforms.items()}
        targets = {name: _to_json(value, TARGETS) for name, value in self.targets.items()}
        content = {"format": FORMATS[-1], "transforms": transforms, "targets": targets}
        json_file.write(folder / FILE, content)
        for name, transform in self.transforms.items():
            if isinstance(transform, TextTransform):
                words = "".join(f"{word}\n" for word in transform.vocabulary())
                json_file.write_text(folder / f"vocabulary.{name}.txt", words)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Preprocessing":
        """Read what `save` wrote.

        Raises:
            MissingFileError: the file does not exist.
            UserError: it is damaged or of another format; names the field.
        """
        path = Path(folder) / FILE
        try:
            content = json_file.read(path)
        except FileNotFoundError:
            raise MissingFileError(f"{path}: expected the file of a finished run") from None
        got = content.get("format")
        if got not in FORMATS:
            choices = " or ".join(map(str, FORMATS))
            raise UserError(f"{path}: expected format {choices}, got {got!r:.60}")
        try:
            transforms = _all_from_json(content.get("transforms"), TRANSFORMS, "transforms")
            return cls(transforms, _all_from_json(content.get("targets", {}), TARGETS, "targets"))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


def _to_json(value: Any, registry: Mapping[str, type]) -> dict[str, Any]:
    (tag,) = (tag for tag, kind in registry.items() if type(value) is kind)
    return {"type": tag, **dataclasses.asdict(value)}


def _all_from_json(values: Any, registry: Mapping[str, type], where: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected an object, got {values!r:.200}")
    return {name: _from_json(value, registry, f"{where}.{name}") for name, value in values.items()}


def _from_json(value: Any, registry: Mapping[str, type], where: str) -> Any:
    tag = value.get("type") if isinstance(value, dict) else value
    if not isinstance(value, dict) or not isinstance(tag, str) or tag not in registry:
        raise UserError(f"{where}.type: got {tag!r:.200}, choose from {', '.join(registry)}")
    kind = registry[tag]
    types: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(kind)}
    given = {name: content for name, content in value.items() if name != "type"}
    # Runs of earlier versions lack the fields that were added since, which have defaults.
    needed = {field.name for field in dataclasses.fields(kind) if _is_needed(field)}
    if not needed <= given.keys() <= types.keys():
        raise UserError(f"{where}: expected the fields {list(types)}, got {list(given)}")
    fields = {}
    for name in given:
        expected = types[name]
        try:
            fields[name] = _CONVERTER.structure(value[name], expected)
        except Exception as error:  # cattrs passes on whatever the conversion raises
            reasons = cattrs.transform_error(error, name, format_exception=lambda e, _: str(e))
            raise UserError(
                f"{where}.{name}: expected {expected}, got {value[name]!r:.200}: "
                f"{'; '.join(reasons[:20])}"
            ) from error
    try:
        return kind(**fields)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _is_needed(field: dataclasses.Field) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _literal(value: Any, kind: type) -> Any:
    """No coercion: 3.7 is not a number of words, and a list is not a text."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UserError(f"expected {kind.__name__}, got {value!r:.60}")
    return kind(value)


_CONVERTER = cattrs.Converter(forbid_extra_keys=True)
for _kind in (int, float, str):
    _CONVERTER.register_structure_hook(_kind, _literal)
