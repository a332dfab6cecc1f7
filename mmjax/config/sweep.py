"""Numbers that several trainings of one program differ in: the learning rate, say, or a dropout."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from flax import linen as nn

from mmjax.config.experiment import Experiment
from mmjax.config.registry import TAGS, fields

# What one step is made from. Data are read once for all trainings.
_PLACES = ("model", "objectives", "optim", "balance", "ema")


class Axis(NamedTuple):
    """One of the numbers, by its path such as `optim.peak_lr`, and the values that it takes."""

    path: str
    values: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """Of `optim.peak-lr=1e-4,3e-4`; raises ValueError where it is not like that."""
        path, _, listed = text.partition("=")
        try:
            values = tuple(float(value) for value in listed.split(","))
            if not all(map(math.isfinite, values)):
                raise ValueError
        except ValueError:
            raise ValueError(
                f"--sweep {text}: expected a path and numbers, such as optim.peak-lr=1e-4,3e-4"
            ) from None
        # As float32, which a program gets, and as a folder's name.
        if len(set(map(written, values))) < len(values):
            raise ValueError(f"--sweep {text}: the values must differ")
        return cls(path.replace("-", "_"), values)


def written(value: float) -> str:
    """With the nine digits that tell float32 numbers apart."""
    return f"{value:.9g}"


def points(axes: Sequence[Axis]) -> list[dict[str, float]]:
    """Every combination of the values, by path; one empty one where there are no axes."""
    paths = [axis.path for axis in axes]
    if len(set(paths)) < len(paths):
        raise ValueError(f"--sweep: {', '.join(paths)}: name each path once")
    return [
        dict(zip(paths, values, strict=True))
        for values in itertools.product(*(axis.values for axis in axes))
    ]


def changed(experiment: Experiment, values: Mapping[str, float]) -> Experiment:
    """The experiment with other numbers, checked like any.

    Raises:
        ValueError: there is no such number, or it cannot be this one.
    """
    known = dict(_numbers(experiment))
    for path, value in values.items():
        if path not in known:
            raise ValueError(f"--sweep {path}: no such number; choose from {', '.join(known)}")
        try:
            experiment = _with(experiment, path.split("."), value, checked=True)
        except ValueError as error:
            raise ValueError(f"--sweep {path}={written(value)}: {error}") from error
    return experiment


def traced(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """Likewise with inputs of a compiled program, which no check could look at.

    They stand where `float` is annotated: a run-time type checker has to be off.
    """
    for path, value in values.items():
        experiment = _with(experiment, path.split("."), value, checked=False)
    return experiment


def _numbers(thing: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every float below, with its path."""
    if isinstance(thing, Experiment):
        inside = {name: getattr(thing, name) for name in _PLACES}
    elif isinstance(thing, Mapping):
        inside = {name: part for name, part in thing.items() if type(part) in TAGS}
    else:
        inside = {field.name: getattr(thing, field.name) for field in fields(type(thing))}
    for name, part in inside.items():
        if isinstance(part, float):
            yield path + name, part
        elif isinstance(part, Mapping) or type(part) in TAGS:
            yield from _numbers(part, f"{path}{name}.")


def _with(thing: Any, path: Sequence[str], value: Any, *, checked: bool) -> Any:
    name, *rest = path
    part = thing[name] if isinstance(thing, Mapping) else getattr(thing, name)
    new = _with(part, rest, value, checked=checked) if rest else value
    if isinstance(thing, Mapping):
        return {**thing, name: new}
    if isinstance(thing, nn.Module):
        return thing.clone(**{name: new})
    if checked:
        return dataclasses.replace(thing, **{name: new})
    other = copy.copy(thing)
    object.__setattr__(other, name, new)  # frozen, and its checks would look at the value
    return other
