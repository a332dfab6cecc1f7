"""An experiment as a Python file, to be read and edited."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mmjax.config import Experiment, registry
from mmjax.config.settings import Compute, Keeping
from mmjax.data.transforms.augment import ImageAugment

_MODULES = {
    "model": "mmjax",
    "encoder": "mmjax.encoders",
    "fusion": "mmjax.fusion",
    "imputation": "mmjax.imputation",
    "head": "mmjax.heads",
    "objective": "mmjax.objectives",
    "data": "mmjax.data",
    "column": "mmjax.data.columns",
    "optim": "mmjax.optim",
    "balance": "mmjax.balance",
}
_OTHERS = {Experiment: "mmjax", Compute: "mmjax", Keeping: "mmjax", ImageAugment: "mmjax.data"}
_WIDTH = 100


def python(experiment: Experiment, about: str) -> str:
    """The source of a script that trains the experiment; fields with their defaults are left out.

    `about`: its docstring.
    """
    return (
        f'"""{about}"""\n\nimport mmjax\n\nexperiment = {_source(experiment, 0)}\n\n'
        'if __name__ == "__main__":\n    mmjax.main(experiment)\n'
    )


def _source(value: Any, depth: int) -> str:
    """The expression that makes a value, broken into lines where it is long."""
    if isinstance(value, Mapping):
        start, end = "{", "}"
        parts = [f"{_literal(key)}: {_source(item, depth + 1)}" for key, item in value.items()]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        start, end = f"{_name(type(value))}(", ")"
        parts = [
            f"{field.name}={_source(getattr(value, field.name), depth + 1)}"
            for field in registry.fields(type(value))
            if registry.required(field) or getattr(value, field.name) != _default(field)
        ]
    else:
        return _literal(value)
    line = start + ", ".join(parts) + end
    if "\n" not in line and 4 * depth + len(line) < _WIDTH - 20:
        return line
    space = "    " * (depth + 1)
    return start + "\n" + "".join(f"{space}{part},\n" for part in parts) + "    " * depth + end


def _default(field: dataclasses.Field) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _literal(value: Any) -> str:
    """The expression that makes a literal or a tuple, with double quotes as ruff writes them."""
    if isinstance(value, tuple):
        inner = ", ".join(map(_literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    plain = isinstance(value, str) and value.isprintable() and not set(value) & set('"\\')
    return f'"{value}"' if plain else repr(value)


def _name(kind: type) -> str:
    if kind in _OTHERS:
        return f"{_OTHERS[kind]}.{kind.__name__}"
    family = (registry.tag(kind) or "").split("/")[0]
    return f"{_MODULES[family]}.{kind.__name__}"
