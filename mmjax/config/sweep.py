"""Sweeps: every combination of values of some fields and choices."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from mmjax.config.experiment import Experiment
from mmjax.errors import UserError


class Axis(NamedTuple):
    """A field such as `optim.peak_lr`, or a choice such as `model.fusion`, and its values."""

    path: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """The axis of a text such as `optim.peak-lr=1e-4,3e-4`; UserError if it is not one."""
        path, equals, listed = text.partition("=")
        values = tuple(value.strip() for value in listed.split(","))
        if not equals or not path or not all(values):
            raise UserError(
                f"--sweep {text}: expected a path and values, such as optim.peak-lr=1e-4,3e-4 or "
                "model.fusion=concat,mult"
            )
        if len(set(values)) < len(values):
            raise UserError(f"--sweep {text}: the values must differ")
        return cls(path.replace("-", "_"), values)


class Point(NamedTuple):
    """One combination, and its experiment."""

    values: dict[str, str]  # {path: value}
    experiment: Experiment

    @property
    def name(self) -> str:
        """The name of its run's folder: `model.fusion=mult,optim.peak_lr=1e-4`."""
        return ",".join(f"{path}={value}" for path, value in self.values.items()).replace("/", "_")


def combinations(axes: Sequence[Axis]) -> list[dict[str, str]]:
    """Every combination of the values: {path: value}."""
    paths = [axis.path for axis in axes]
    if len(set(paths)) < len(paths):
        raise UserError(f"--sweep: {', '.join(paths)}: name each path once")
    products = itertools.product(*(axis.values for axis in axes))
    return [dict(zip(paths, values, strict=True)) for values in products]
