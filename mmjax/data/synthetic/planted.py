"""Planted tasks: made-up sensors whose best possible accuracy is known exactly."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from mmjax.data.dataset import Dataset, Examples, Source, check_split
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.synthetic import planting
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


class PlantedSource(Source):
    """One split; to train on it is without end, to evaluate on it is drawn once."""

    def __init__(self, data: "Planted", split: str):
        self._data = data
        self._split = split

    def __len__(self) -> int:
        return getattr(self._data, f"{self._split}_size")

    @cached_property
    def _fixed(self) -> Examples:
        draws = planting.frozen(self._data.seed, self._split)
        return self._data.draw(len(self), draws)

    def read(
        self, indices: np.ndarray, rng: np.random.Generator | None, own: slice = slice(None)
    ) -> Examples:
        """Rows of each modality, and the target "label", 0 or 1."""
        examples, rows = self._fixed, indices[own]
        if rng is not None:
            examples, rows = self._data.draw(len(indices), rng), np.arange(len(indices))[own]
        inputs = {name: [values[i] for i in rows] for name, values in examples.inputs.items()}
        return Examples(inputs, {"label": np.asarray(examples.targets["label"])[rows]})


@dataclass(frozen=True)
class Planted(Dataset):
    """A made-up task that tells in which way modalities have to be fused, and how well at best.

    Each modality shows two bits, a and b, at two places. The label is y0, flipped with
    probability `flip`; b is random where nothing else is said.

    redundant: y0 is the a of every modality. unique: the a of the last one, others' are random.
    synergy: the parity of all a; without any one of them nothing is known.
    missing: a is y0 with an error of 0.1, 0.15, ... in each; each is missing now and then.
    noisy: likewise, but a modality whose b is 1 shows a random a instead of going missing.
    misaligned: the first modality marks a moment, the label is what the second shows 5/12 later.
    dominated: y0 = a in the first, which is easy; y0 = a xor b in the second; no flips.
    """

    task: Task = "synergy"  # How the label is spread over the modalities
    # Which modalities; "misaligned" needs all of them to be sequences of numbers.
    shape: Shape = "vision_touch"
    train_size: int = 4096  # Examples of an epoch of training, each drawn afresh
    validation_size: int = 512  # Examples to validate on, the same for ever
    test_size: int = 2048  # Examples to test on, the same for ever
    # Standard deviation of the sensors' noise; a bit is -1 or 1. At 0.25 no bit is lost.
    noise: float = 0.25
    flip: float = 0.05  # Share of labels that are flipped, 0 to 0.5; none are in "dominated"
    # Chance of each modality to be missing ("missing") or garbled ("noisy"), 0 to 1.
    missing: float = 0.3
    seed: int = 0  # Of the examples to evaluate on

    def __post_init__(self):
        for name, choices in (("task", get_args(Task)), ("shape", get_args(Shape))):
            if getattr(self, name) not in choices:
                got = getattr(self, name)
                raise UserError(f"{name}: got {got!r}, choose from {', '.join(choices)}")
        if self.task == "misaligned" and self.shape not in _TIMED:
            raise UserError(
                f"shape: task 'misaligned' needs sequences of numbers, got {self.shape!r}, "
                f"choose from {', '.join(_TIMED)}"
            )
        for name in ("train_size", "validation_size", "test_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name, limit in (("flip", 0.5), ("missing", 1.0)):
            if not 0 <= getattr(self, name) <= limit:
                raise UserError(f"{name}: expected 0 to {limit:g}, got {getattr(self, name)}")
        if not 0 <= self.noise < np.inf:
            raise UserError(f"noise: expected a finite number, 0 or more, got {self.noise}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed: expected 0 to 2**32 - 1, got {self.seed}")

    @property
    def modalities(self) -> tuple[str, ...]:
        """Their names, in the order that the tasks speak of."""
        return tuple(self.shape.split("_"))

    @cached_property
    def latents(self) -> Latents:
        """What can be shown with which label, and how likely that is."""
        if self.task == "misaligned":
            return temporal(self.modalities, flip=self.flip)
        count = len(self.modalities)
        return symbolic(self.task, count, flip=self.flip, missing=self.missing)

    def best_accuracy(self) -> float:
        """Of whoever reads every symbol: exact, from the table that the examples are drawn from.

        At the default noise symbols are read practically without error (below 1e-4 a bit); with
        much more of it this is an upper bound.
        """
        return self.latents.best_accuracy(range(len(self.modalities)))

    def best_score(self, split: str) -> float:
        """Of the decisions of `best_accuracy` on the examples of a split: what chance made of it.

        Scores on few examples lie around the exact accuracy; this one lies where theirs do.
        """
        check_split(split)
        count = getattr(self, f"{split}_size")
        shown, label = self.latents.draw(count, planting.frozen(self.seed, split))
        return float(np.mean(self.latents.decide(shown) == label))

    def unimodal_accuracy(self, modality: str) -> float:
        """Of whoever reads this modality alone; UserError for one that the shape does not have."""
        if modality not in self.modalities:
            choices = ", ".join(self.modalities)
            raise UserError(f"modality: got {modality!r}, choose from {choices}")
        return self.latents.best_accuracy([self.modalities.index(modality)])

    def draw(self, count: int, draws: Draws) -> Examples:
        """New examples."""
        shown, label = self.latents.draw(count, draws)
        if self.task == "misaligned":
            inputs = planting.moments(self.modalities, shown, self.noise, draws)
        else:
            inputs = {
                name: planting.render(name, shown[:, place], self.noise, draws)
                for place, name in enumerate(self.modalities)
            }
        return Examples(inputs, {"label": label.astype(np.float32)})

    def prepare(self) -> None:
        """There is nothing to prepare: no file is read or written."""

    def preprocessing(self) -> Preprocessing:
        """Statistics of a fixed draw of training examples of which nothing is missing."""
        whole = dataclasses.replace(self, missing=0.0) if self.task == "missing" else self
        examples = whole.draw(_FITTED, planting.frozen(self.seed, "train"))
        fitted = {name: planting.fitted(name, rows) for name, rows in examples.inputs.items()}
        return Preprocessing(fitted, {"label": Binary()})

    def source(self, split: str) -> PlantedSource:
        """The examples of a split."""
        check_split(split)
        return PlantedSource(self, split)
