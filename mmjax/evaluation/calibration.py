"""Calibration of a run after its training: honest probabilities, sets and intervals that cover.

Kept beside the run in calibration.json, for one checkpoint. Predictions use it.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import cattrs
import numpy as np
from jaxtyping import Bool, Float

from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.statistics import conformal
from mmjax.statistics.scaling import Isotonic, Temperature, two_classes
from mmjax.types import Outputs

FILE = "calibration.json"
Kind = Literal["temperature", "isotonic"]
Logits = Float[np.ndarray, "example class"]


@dataclasses.dataclass(frozen=True)
class Classes:
    """The calibration of an objective of classes; yes or no are two."""

    temperature: float | None  # one of the two
    isotonic: Mapping[str, list[list[float]]] | None  # knots and values by class
    limits: list[float | None]  # by class: the largest 1 - p in a set; None: always in it

    def __post_init__(self) -> None:
        if (self.temperature is None) == (self.isotonic is None) or len(self.limits) < 2:
            raise UserError("expected limits, and a temperature or knots and values, by class")
        if not (self.temperature is None or 0 < self.temperature < np.inf):
            raise UserError(f"temperature: expected more than 0, got {self.temperature}")
        knots, values = ((self.isotonic or {}).get(name, []) for name in ("knots", "values"))
        if self.isotonic is not None and (
            [*map(len, knots)] != [*map(len, values)]
            or len(knots) != len(self.limits)
            or not all(one and one == sorted({*one}) for one in knots)
        ):
            raise UserError("expected as many values as knots, which rise, for each class")
        shares = [x for part in (*knots, *values, self.limits) for x in part if x is not None]
        if not all(0 <= x <= 1 for x in shares):
            raise UserError("expected knots, values and limits in 0..1")

    def __call__(self, logits: Logits) -> Float[np.ndarray, "example class"]:
        """Calibrated probabilities."""
        if self.temperature is not None:
            return Temperature(self.temperature)(logits)
        return Isotonic(**(self.isotonic or {}))(logits)

    def sets(
        self, probabilities: Float[np.ndarray, "example class"]
    ) -> Bool[np.ndarray, "example class"]:
        """The conformal set of each example."""
        limits = [np.inf if limit is None else limit for limit in self.limits]
        return conformal.classes(probabilities, np.array(limits))


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What was fitted to the split of a run, by objective."""

    step: int  # of the checkpoint
    split: str
    alpha: float  # sets and intervals miss the truth this often at most
    classes: Mapping[str, Classes]
    numbers: Mapping[str, float | None]  # half the width of intervals; None: too few examples

    def save(self, run: Path) -> None:
        """Write calibration.json."""
        json_file.write(run / FILE, dataclasses.asdict(self))

    @classmethod
    def load(cls, run: Path) -> "Calibration | None":
        """What the run has; None if it was not calibrated. UserError if the file is damaged."""
        if not (run / FILE).is_file():
            return None
        content = json_file.read(run / FILE)
        try:
            return cattrs.Converter(forbid_extra_keys=True).structure(content, cls)
        except Exception as error:  # cattrs passes on whatever the conversion raises
            reasons = "; ".join(cattrs.transform_error(error)[:5])
            raise UserError(f"{run / FILE}: not the calibration of a run: {reasons}") from error

    @classmethod
    def of_step(cls, run: Path, step: int) -> "tuple[Calibration | None, str]":
        """That of a checkpoint, or None with the reason, "" where the run was never calibrated."""
        found = cls.load(run)
        if found is None or found.step == step:
            return found, ""
        return None, f"the calibration is of step {found.step}, not of {step}: not used"

    def applied(self, outputs: Outputs, heads: Mapping[str, str]) -> Outputs:
        """The outputs with logits of calibrated probabilities; `heads`: output by objective."""
        values = dict(outputs.values)
        first = {heads[name]: name for name in reversed(list(self.classes))}  # of each head
        for head, name in first.items():
            values[head] = self.logits(name, np.asarray(outputs.values[head]))
        return dataclasses.replace(outputs, values=values)

    def logits(self, name: str, output: np.ndarray) -> np.ndarray:
        """Logits of calibrated probabilities for those of an objective of classes, or yes or no."""
        own, output = self.classes[name], np.asarray(output, np.float64)
        binary = output.ndim == 1
        if len(own.limits) != (2 if binary else output.shape[1]):
            raise UserError(f"{FILE}: {name}: not for the number of classes of this run")
        p = own(two_classes(output) if binary else output)
        with np.errstate(divide="ignore"):
            log_p = np.maximum(np.log(p), -1e4)
        return log_p[:, 1] - log_p[:, 0] if binary else log_p

    def words(self) -> str:
        """How probabilities were calibrated, in a sentence."""
        how = [
            f"{name} by {f'temperature {one.temperature:.3g}' if one.temperature else 'isotonic'}"
            for name, one in self.classes.items()
        ]
        return f"calibrated by mmjax calibrate on the {self.split} split: {', '.join(how)}"

    def add(self, name: str, predictions: list[dict[str, Any]]) -> None:
        """Add a `set` of classes, or the ends `low` and `high`, to predictions of an objective."""
        if name in self.numbers and (half := self.numbers[name]) is not None:
            for one in predictions:
                one |= {"low": one["value"] - half, "high": one["value"] + half}
        if name in self.classes:
            for one in predictions:
                yes = one["probability"]
                p = one.get("probabilities", {"no": 1 - yes, "yes": yes})
                inside = self.classes[name].sets(np.array([list(p.values())]))[0]
                one["set"] = [label for label, kept in zip(p, inside, strict=True) if kept]


def fit_classes(
    logits: Logits, labels: np.ndarray, kind: Kind, alpha: float, halves: np.ndarray
) -> Classes:
    """Probabilities from one half, sets from the other: what fitted them must not judge them."""
    fitting = Temperature.fit if kind == "temperature" else Isotonic.fit
    scaling = cast(Any, fitting(logits[halves], labels[halves]))
    limits = conformal.fit_classes(scaling(logits[~halves]), labels[~halves], alpha)
    return Classes(
        temperature=scaling.temperature if kind == "temperature" else None,
        isotonic=None if kind == "temperature" else dataclasses.asdict(scaling),
        limits=[None if np.isinf(limit) else float(limit) for limit in limits],
    )
