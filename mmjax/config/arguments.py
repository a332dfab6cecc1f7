"""The words of a command line: choices, such as model.fusion:mult, and flags with their values."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from mmjax.config.compute import Compute
from mmjax.config.experiment import Experiment
from mmjax.config.keeping import Keeping
from mmjax.config.processes import Processes
from mmjax.config.registry import FAMILIES, fields, tag, tags


def arranged(experiment: Experiment, arguments: Sequence[str]) -> list[str]:
    """In the order that tyro needs: it applies flags to the choices before them."""
    choices, flags = _sorted(arguments)
    made = {choice.partition(":")[0] for choice in choices}
    # tyro 1.0 knows --x.no-y only where the choice at x is made.
    for flag in flags:
        place, _, name = flag.removeprefix("--").rpartition(".")
        own = _part(experiment, place.replace("-", "_"))
        if own is not None and name.startswith(("no-", "no_")) and place not in made:
            made.add(place)
            choices.append(f"{place}:{own.split('/')[1]}")
    return [*choices, *flags]


def changed(
    experiment: Experiment, arguments: Sequence[str], values: Mapping[str, str]
) -> list[str]:
    """The arguments of a point of a sweep: with its values, {path: value}, last."""
    choices, flags = _sorted(arguments)
    for path, value in values.items():
        above, dot, name = path.rpartition(".")
        if _part(experiment, path) is not None:
            choices = [choice for choice in choices if choice.partition(":")[0] != path]
            choices.append(f"{path}:{value}")
        elif name in _switches() and value.lower() in ("true", "false"):
            no = "" if value.lower() == "true" else "no-"
            flags.append(f"--{above}{dot}{no}{name}".replace("_", "-"))
        else:
            flags += [f"--{path.replace('_', '-')}", *value.split()]
    return [*choices, *flags]


def _part(value: Any, path: str) -> str | None:
    """`family/name` of the registered class at this place of the experiment; None for no such."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return tag(type(value))


def _sorted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The choices, and all else in its order. What follows a flag that takes a value is that."""
    choices, rest, value = [], [], False
    for argument in arguments:
        if not value and _is_choice(argument):
            choices.append(argument)
            continue
        rest.append(argument)
        name = argument.removeprefix("--").rpartition(".")[2].replace("-", "_")
        value = (
            argument.startswith("--")
            and "=" not in argument
            and name.removeprefix("no_") not in _switches()
        )
    return choices, rest


@functools.cache
def _switches() -> frozenset[str]:
    """The names of all fields that are yes or no: their flags take no value."""
    kinds = [Compute, Keeping, Experiment, Processes, *(cls for _, cls in tags())]
    return frozenset(f.name for kind in kinds for f in fields(kind) if f.type in (bool, "bool"))


def _is_choice(argument: str) -> bool:
    """`model.fusion:cross_attention` is one, the value in `--workdir data:1` is not."""
    path, _, name = argument.partition(":")
    places = {field.name for field in fields(Experiment)}
    names = {name for table in FAMILIES.values() for name in table}
    return path.split(".")[0] in places and name.replace("-", "_") in names
