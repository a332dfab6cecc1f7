"""An experiment as JSON, and back to an equal object; nothing is imported by name from a file."""

import dataclasses
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cattrs
from flax import linen as nn

from mmjax.balance import Balance
from mmjax.config.experiment import Experiment
from mmjax.config.registry import TAGS, fields
from mmjax.data.dataset import Dataset
from mmjax.io import json_file
from mmjax.objectives import Objective
from mmjax.optim import Optim

FORMAT = 3
BYTE_LIMIT = 1_000_000  # of a file; a configuration has thousands, and checking it takes time
# What turns a configuration of each older format into one of the next. 1 and 2 were not published:
# their checkpoints have no record.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
# Where a run is computed and where its data lies does not make it another run.
CIRCUMSTANCES = ("parallel", "devices", "workers", "tensorboard", "on_nonfinite", "skip_limit")
CIRCUMSTANCES += ("accumulate", "steps_per_call", "buckets", "fsdp", "model.remat")
CIRCUMSTANCES += ("model.kernels",)
CIRCUMSTANCES += ("data.data_dir", "data.manual_dir", "data.report")


def to_json(experiment: Experiment) -> dict[str, Any]:
    """Plain data; registered classes by their registry names."""
    return {"format": FORMAT, **_encode(experiment)}


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        tag = {"type": TAGS[type(value)]} if type(value) in TAGS else {}
        return tag | {f.name: _encode(getattr(value, f.name)) for f in fields(type(value))}
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encode(item) for item in value]
    return _without_home(value) if isinstance(value, str) else value


def _without_home(text: str) -> str:
    """Who made a run, and where, is nobody's business: /home/ada/data is written ~/data."""
    home = os.path.expanduser("~")
    if text.startswith(home + os.sep):
        return "~" + text.removeprefix(home)
    return f"\\{text}" if text.startswith(("~/", "\\")) else text  # what only looks like it


def _with_home(text: str) -> str:
    return os.path.expanduser(text) if text.startswith("~/") else text.removeprefix("\\")


def from_json(data: Mapping[str, Any], source: str = "config") -> Experiment:
    """The experiment that `to_json` was given.

    Raises:
        ValueError: naming `source`, the field, what was expected and the choices.
    """
    rest = _migrated(data, source)
    try:
        return _converter().structure(rest, Experiment)
    except Exception as error:
        reasons = cattrs.transform_error(error, format_exception=_reason)
        more = [f"and {len(reasons) - 20:,} more"] if len(reasons) > 20 else []
        raise ValueError(f"{source}: " + "; ".join(reasons[:20] + more)) from error


def _migrated(data: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields of a configuration of any format that there has been, as they are called today."""
    got = data.get("format") if isinstance(data, Mapping) else type(data).__name__
    known = [*sorted(MIGRATIONS), FORMAT]
    if type(got) is not int or got not in known:
        raise ValueError(
            f"{source}: expected a configuration of format {' or '.join(map(str, known))}, got "
            f"{got!r:.60}; another version of mmjax wrote it"
        )
    rest = {key: value for key, value in data.items() if key != "format"}
    for number in range(got, FORMAT):
        rest = MIGRATIONS[number](rest)
    return rest


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (bool, int, float, str):
        converter.register_structure_hook(kind, _literal)

    def registered(data: Any, base: type) -> Any:
        if not isinstance(data, Mapping) or "type" not in data:
            raise ValueError(f"expected an object with a 'type', got {data!r:.60}")
        cls = next((cls for cls, tag in TAGS.items() if tag == data["type"]), None)
        known = {cls: tag for cls, tag in TAGS.items() if issubclass(cls, base)}
        if cls not in known:
            raise ValueError(f"unknown type {data['type']!r}; choose from {sorted(known.values())}")
        hints = typing.get_type_hints(cls)
        names = [f.name for f in fields(cls)]
        given = {key: value for key, value in data.items() if key != "type"}
        if unknown := sorted(set(given) - set(names)):
            raise ValueError(f"{data['type']} has no field {unknown}; its fields are {names}")
        return cls(**{k: converter.structure(v, hints[k]) for k, v in given.items()})

    roots = (nn.Module, Objective, Dataset, Optim, Balance)
    converter.register_structure_hook_func(
        lambda hint: isinstance(hint, type) and issubclass(hint, roots), registered
    )
    return converter


def _literal(value: Any, kind: type) -> Any:
    """No coercion: 3.7 is not an integer, and "no" is not a boolean."""
    exact = type(value) is kind or (kind is float and type(value) is int)
    if not exact:
        raise ValueError(f"expected {kind.__name__}, got {value!r:.60}")
    return _with_home(value) if isinstance(value, str) else kind(value)


def _reason(error: BaseException, kind: Any) -> str:
    return str(error) if str(error) else type(error).__name__


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """One line per field in which two configurations in JSON differ, circumstances left out."""
    if path in CIRCUMSTANCES:
        return
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in sorted(set(ours) | set(theirs)):
            below = f"{path}.{key}" if path else key
            yield from differences(ours.get(key), theirs.get(key), below)
    elif ours != theirs:
        yield f"{path}: {theirs!r} there, {ours!r} here"


def load(path: Path) -> Experiment:
    """Reads a config.json.

    Raises:
        FileNotFoundError: there is none.
        ValueError: as `from_json`, and where the file is damaged.
    """
    if (size := path.stat().st_size) > BYTE_LIMIT:
        raise ValueError(f"{path}: expected at most {BYTE_LIMIT:,} bytes, got {size:,}")
    return from_json(json_file.read(path), str(path))


def save(path: Path, experiment: Experiment) -> None:
    """Writes a config.json."""
    json_file.write(path, to_json(experiment))
