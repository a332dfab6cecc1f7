"""The arguments of a command line: choices, such as `model.fusion:mult`, and flags with values."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from mmjax.config.experiment import Experiment
from mmjax.config.processes import Processes
from mmjax.config.registry import FAMILIES, fields, tag, tags
from mmjax.config.settings import Compute, Keeping


def arranged(experiment: Experiment, arguments: Sequence[str]) -> list[str]:
    """The arguments with choices before flags, as tyro needs them."""
    choices, flags = _split(arguments)
    chosen = {choice.partition(":")[0] for choice in choices}
    # tyro 1.0 knows --x.no-y only where the choice at x is made.
    for flag in flags:
        place, _, name = flag.removeprefix("--").rpartition(".")
        own = _tag_at(experiment, place.replace("-", "_"))
        if own is not None and name.startswith(("no-", "no_")) and place not in chosen:
            chosen.add(place)
            choices.append(f"{place}:{own.split('/')[1]}")
    return [*choices, *flags]


def changed(
    experiment: Experiment, arguments: Sequence[str], values: Mapping[str, str]
) -> list[str]:
    """The arguments for a point of a sweep; `values`: {path: value}."""
    choices, flags = _split(arguments)
    for path, value in values.items():
        above, dot, name = path.rpartition(".")
        if _tag_at(experiment, path) is not None:
            choices = [choice for choice in choices if choice.partition(":")[0] != path]
            choices.append(f"{path}:{value}")
        elif name in _switches() and value.lower() in ("true", "false"):
            no = "" if value.lower() == "true" else "no-"
            flags.append(f"--{above}{dot}{no}{name}".replace("_", "-"))
        else:
            flags += [f"--{path.replace('_', '-')}", *value.split()]
    return [*choices, *flags]


def _tag_at(value: Any, path: str) -> str | None:
    """`family/name` of the registered class at a path of the experiment; None if there is none."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return tag(type(value))


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The choices, and the rest; the argument after a flag that takes a value is no choice."""
    choices, rest, is_value = [], [], False
    for argument in arguments:
        if not is_value and _is_choice(argument):
            choices.append(argument)
            continue
        rest.append(argument)
        name = argument.removeprefix("--").rpartition(".")[2].replace("-", "_")
        is_value = (
            argument.startswith("--")
            and "=" not in argument
            and name.removeprefix("no_") not in _switches()
        )
    return choices, rest


@functools.cache
def _switches() -> frozenset[str]:
    """The names of all boolean fields: their flags take no value."""
    kinds = [Compute, Keeping, Experiment, Processes, *(cls for _, cls in tags())]
    return frozenset(f.name for kind in kinds for f in fields(kind) if f.type in (bool, "bool"))


def _is_choice(argument: str) -> bool:
    """True for `model.fusion:cross_attention`, False for the value in `--workdir data:1`."""
    path, _, name = argument.partition(":")
    places = {field.name for field in fields(Experiment)}
    names = {name for table in FAMILIES.values() for name in table}
    return path.split(".")[0] in places and name.replace("-", "_") in names
