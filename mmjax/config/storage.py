"""An experiment as JSON, and back to an equal object; a file never names code to import."""

import dataclasses
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cattrs
from flax import linen as nn

from mmjax.balance import Balance
from mmjax.config import registry
from mmjax.config.experiment import Experiment
from mmjax.config.migrations import MIGRATIONS
from mmjax.config.privacy import decode_path, encode_path
from mmjax.config.registry import fields
from mmjax.config.settings import Compute, Keeping
from mmjax.data.dataset import Budget, Dataset, Place
from mmjax.data.tables.columns import Column
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.objectives import Objective
from mmjax.optim import Optim

# JSON names the class of these; the class of any other dataclass is the type of its field.
ROOTS = (nn.Module, Objective, Dataset, Column, Optim, Balance)

FORMAT = 6
BYTE_LIMIT = 1_000_000  # of a file; a configuration has thousands, and checking takes time


def to_json(experiment: Experiment) -> dict[str, Any]:
    """The experiment as JSON; registered classes by their names.

    Raises:
        UserError: a class is not registered, so that its runs could never be restored.
    """
    return {"format": FORMAT, **_encode(experiment, lambda _: True)}


def identity(experiment: Experiment) -> dict[str, Any]:
    """What identifies a run: all fields but `compute`, `keeping` and the places of data."""
    return _encode(experiment, lambda hint: hint not in (Compute, Keeping, Place, Budget))


def _encode(value: Any, wanted: Callable[[Any], bool]) -> Any:
    if dataclasses.is_dataclass(value):
        kind = type(value)
        hints = typing.get_type_hints(kind, include_extras=True)
        names = [f.name for f in fields(kind) if wanted(hints[f.name])]
        parts = {name: _encode(getattr(value, name), wanted) for name in names}
        return ({"type": _tag(kind)} if isinstance(value, ROOTS) else {}) | parts
    if isinstance(value, Mapping):
        return {_key(key): _encode(item, wanted) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encode(item, wanted) for item in value]
    return encode_path(value) if isinstance(value, str) else value


def _key(key: Any) -> Any:
    return encode_path(key) if isinstance(key, str) else key


def _tag(kind: type) -> str:
    tag = registry.tag(kind)
    if tag is None:
        raise UserError(
            f"{kind.__qualname__} is not registered: its run could never be restored. Write "
            f"`mmjax.register({kind.__name__})` below the class, before the experiment is made"
        )
    return tag


def require_restorable(experiment: Experiment) -> None:
    """UserError where config.json would not give back an equal experiment."""
    try:
        restored = from_json(json.loads(json.dumps(json_file.plain(to_json(experiment)))))
    except (UserError, TypeError) as error:  # TypeError: no JSON value
        raise UserError(
            f"the experiment could not be restored from its config.json: {error}"
        ) from None
    if lines := list(differences(to_json(experiment), to_json(restored))):
        raise UserError(
            "the experiment would come back from its config.json as another one: "
            + "; ".join(lines)
        )


def from_json(data: Mapping[str, Any], source: str = "config") -> Experiment:
    """The experiment that `to_json` was given.

    Raises:
        UserError: names `source`, the field, what was expected and the choices.
    """
    rest = _migrated(data, source)
    try:
        return _converter().structure(rest, Experiment)
    except Exception as error:
        reasons = cattrs.transform_error(
            error, format_exception=lambda error, _: str(error) or type(error).__name__
        )
        more = [f"and {len(reasons) - 20:,} more"] if len(reasons) > 20 else []
        raise UserError(f"{source}: " + "; ".join(reasons[:20] + more)) from error


def _migrated(data: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields of a configuration of any format, converted to this one."""
    got = data.get("format") if isinstance(data, Mapping) else type(data).__name__
    known = [*sorted(MIGRATIONS), FORMAT]
    if type(got) is not int or got not in known:
        raise UserError(
            f"{source}: expected a configuration of format {' or '.join(map(str, known))}, got "
            f"{got!r:.60}; another version of mmjax wrote it"
        )
    rest = {key: value for key, value in data.items() if key != "format"}
    try:
        for number in range(got, FORMAT):
            rest = MIGRATIONS[number](rest)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{source}: no configuration of format {got}: {error!r:.200}") from error
    return rest


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (bool, int, float, str):
        converter.register_structure_hook(kind, _literal)

    def registered(data: Any, base: type) -> Any:
        if not isinstance(data, Mapping) or "type" not in data:
            raise UserError(f"expected an object with a 'type', got {data!r:.60}")
        known = {tag: cls for tag, cls in registry.tags() if issubclass(cls, base)}
        cls = known.get(str(data["type"]))
        if cls is None:
            raise UserError(
                f"unknown type {data['type']!r}; choose from {sorted(known)}, or name the file "
                "that registers it with --with"
            )
        hints = typing.get_type_hints(cls)
        names = [f.name for f in fields(cls)]
        given = {key: value for key, value in data.items() if key != "type"}
        if unknown := sorted(set(given) - set(names)):
            raise UserError(f"{data['type']} has no field {unknown}; its fields are {names}")
        return cls(**{k: converter.structure(v, hints[k]) for k, v in given.items()})

    def listed_or_named(data: Any, hint: Any) -> Any:
        for kind in typing.get_args(hint):
            if (typing.get_origin(kind) is tuple) == isinstance(data, tuple | list):
                return converter.structure(data, kind)
        raise UserError(f"expected {hint}, got {data!r:.60}")

    converter.register_structure_hook_func(
        lambda hint: isinstance(hint, type) and issubclass(hint, ROOTS), registered
    )
    # `tuple | Literal`: cattrs cannot distinguish these itself.
    converter.register_structure_hook_func(
        lambda hint: set(map(typing.get_origin, typing.get_args(hint))) == {tuple, typing.Literal},
        listed_or_named,
    )
    return converter


def _literal(value: Any, kind: type) -> Any:
    """The value, without coercion: 3.7 is not an integer, and "no" is not a boolean."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UserError(f"expected {kind.__name__}, got {value!r:.60}")
    return decode_path(value) if isinstance(value, str) else kind(value)


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """One line for each field in which two configurations (as JSON) differ."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in sorted(set(ours) | set(theirs), key=str):
            below = f"{path}.{key}" if path else key
            yield from differences(ours.get(key), theirs.get(key), below)
    elif ours != theirs:
        yield f"{path}: {theirs!r} there, {ours!r} here"


def load(path: Path) -> Experiment:
    """Read a config.json.

    Raises:
        FileNotFoundError: there is none.
        UserError: the file is damaged, or as in `from_json`.
    """
    if (size := path.stat().st_size) > BYTE_LIMIT:
        raise UserError(f"{path}: expected at most {BYTE_LIMIT:,} bytes, got {size:,}")
    return from_json(json_file.read(path), str(path))


def save(path: Path, experiment: Experiment) -> None:
    """Write a config.json."""
    json_file.write(path, to_json(experiment))
