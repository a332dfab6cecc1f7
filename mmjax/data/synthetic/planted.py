"""Synthetic tasks of simulated sensors, whose best possible accuracy is known exactly."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from mmjax.data.dataset import Examples, check_split
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.synthetic import planting
from mmjax.data.synthetic.drawn import Drawn
from mmjax.data.synthetic.latents import Latents, Task, symbolic, temporal
from mmjax.data.synthetic.planting import Draws
from mmjax.data.targets import Binary
from mmjax.errors import UserError

Shape = Literal[
    "image_text",
    "image_table",
    "speech_text",
    "camera_radar_lidar",
    "vision_touch",
    "camera_radar_lidar_imu",
]
_TIMED = ("vision_touch", "camera_radar_lidar", "camera_radar_lidar_imu")
_FITTED = 1024  # examples that the preprocessing is fitted on


@dataclass(frozen=True)
class Planted(Drawn):
    """A synthetic task with a known way to fuse modalities and a known best accuracy.

    Each modality shows two bits, a and b, at two places. The label is y0, flipped with
    probability `flip`; b is random unless the task says otherwise.

    redundant: y0 is the a of every modality.
    unique: y0 is the a of the last modality; the others are random.
    synergy: y0 is the parity of all a; without any one modality nothing is known.
    missing: a is y0 with an error of 0.1, 0.15, ... in each modality; modalities may be missing.
    noisy: as missing, but instead of going missing a modality shows b = 1 and a random a.
    misaligned: the first modality marks a moment; y0 is what the second shows 5/12 later.
    dominated: y0 = a in the first modality, which is easy, and y0 = a xor b in the second; no
        label is flipped.
    """

    task: Task = "synergy"  # how the label depends on the modalities
    shape: Shape = "vision_touch"  # the modalities; "misaligned" needs sequences of numbers
    # Standard deviation of the sensors' noise; a bit is -1 or 1. At 0.25 no bit is lost.
    noise: float = 0.25
    flip: float = 0.05  # share of labels that are flipped, 0 to 0.5; none are in "dominated"
    # Probability that a modality is missing ("missing") or random ("noisy"), 0 to 1.
    missing: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in (("task", get_args(Task)), ("shape", get_args(Shape))):
            if getattr(self, name) not in choices:
                got = getattr(self, name)
                raise UserError(f"{name}: got {got!r}, choose from {', '.join(choices)}")
        if self.task == "misaligned" and self.shape not in _TIMED:
            raise UserError(
                f"shape: task 'misaligned' needs sequences of numbers, got {self.shape!r}, "
                f"choose from {', '.join(_TIMED)}"
            )
        for name, limit in (("flip", 0.5), ("missing", 1.0)):
            if not 0 <= getattr(self, name) <= limit:
                raise UserError(f"{name}: expected 0 to {limit:g}, got {getattr(self, name)}")
        if not 0 <= self.noise < np.inf:
            raise UserError(f"noise: expected a finite number, 0 or more, got {self.noise}")

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the modalities, in the order that the tasks refer to."""
        return tuple(self.shape.split("_"))

    @cached_property
    def latents(self) -> Latents:
        """The joint distribution of symbols and label."""
        if self.task == "misaligned":
            return temporal(self.modalities, flip=self.flip)
        count = len(self.modalities)
        return symbolic(self.task, count, flip=self.flip, missing=self.missing)

    def best_accuracy(self, modalities: Sequence[str] | None = None) -> float:
        """The accuracy of the best predictor that reads `modalities`, by default all of them.

        Exact at the default noise, where the error of a bit is below 1e-4; an upper bound with
        much more noise.
        """
        names = self.modalities if modalities is None else modalities
        for name in names:
            if name not in self.modalities:
                choices = ", ".join(self.modalities)
                raise UserError(f"modality: got {name!r}, choose from {choices}")
        return self.latents.best_accuracy([self.modalities.index(name) for name in names])

    def best_score(self, split: str) -> float:
        """The accuracy of the best predictor on the examples of a split.

        It differs from `best_accuracy` by the sampling error of the split.
        """
        check_split(split)
        count = getattr(self, f"{split}_size")
        shown, label = self.latents.draw(count, planting.frozen(self.seed, split))
        return float(np.mean(self.latents.decide(shown) == label))

    def draw(self, count: int, draws: Draws) -> Examples:
        """Rows of each modality, and the target "label", 0 or 1."""
        shown, label = self.latents.draw(count, draws)
        if self.task == "misaligned":
            inputs = planting.moments(self.modalities, shown, self.noise, draws)
        else:
            inputs = {
                name: planting.render(name, shown[:, place], self.noise, draws)
                for place, name in enumerate(self.modalities)
            }
        return Examples(inputs, {"label": label.astype(np.float32)})

    def preprocessing(self) -> Preprocessing:
        """Statistics of a fixed draw of training examples without missing modalities."""
        whole = dataclasses.replace(self, missing=0.0) if self.task == "missing" else self
        examples = whole.draw(_FITTED, planting.frozen(self.seed, "train"))
        fitted = {name: planting.fitted(name, rows) for name, rows in examples.inputs.items()}
        return Preprocessing(fitted, {"label": Binary()})
