"""Planted tasks: made-up sensors whose best possible accuracy is known exactly."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from mmjax.data import planting
from mmjax.data.dataset import Dataset, Examples, Source, check_split
from mmjax.data.planting import MISSING, SERIES, Draws
from mmjax.data.preprocessing import Preprocessing

Task = Literal["redundant", "unique", "synergy", "missing", "noisy", "misaligned", "dominated"]
Shape = Literal[
    "image_text",
    "image_table",
    "speech_text",
    "camera_radar_lidar",
    "vision_touch",
    "camera_radar_lidar_imu",
]
_TIMED = ("vision_touch", "camera_radar_lidar", "camera_radar_lidar_imu")
_EASY = 0.05  # error of the easy modality in "dominated"
_FITTED = 1024  # examples that the preprocessing is fitted on


@dataclass(frozen=True)
class Latents:
    """P(shown, label): every state that can be, once. Examples are drawn from this very table."""

    shown: Int[np.ndarray, "state modality"]  # the symbol of each modality
    label: Int[np.ndarray, "state"]
    probability: Float[np.ndarray, "state"]

    def draw(
        self, count: int, draws: Draws
    ) -> tuple[Int[np.ndarray, "batch modality"], Int[np.ndarray, "batch"]]:
        """Symbols and labels of some examples."""
        until = np.cumsum(self.probability)
        state = np.searchsorted(until / until[-1], draws.random(count), side="right")
        return self.shown[state], self.label[state]

    def best_accuracy(self, modalities: Sequence[int]) -> float:
        """sum over what these modalities can show of max over y of P(shown, y)."""
        _, seen = np.unique(self.shown[:, list(modalities)], axis=0, return_inverse=True)
        joint = np.zeros((seen.max() + 1, 2))
        np.add.at(joint, (seen.ravel(), self.label), self.probability)
        return float(joint.max(axis=1).sum())


def symbolic(task: Task, modalities: int, *, flip: float, missing: float) -> Latents:
    """The states of every task but "misaligned": P(y0) P(shown | y0) P(label | y0), y0 fair."""
    shown = np.array(list(itertools.product(range(MISSING + 1), repeat=modalities)))
    flip = 0.0 if task == "dominated" else flip
    given = [_given(task, shown, truth, missing) for truth in (0, 1)]
    joint = [0.5 * ((1 - flip) * given[y] + flip * given[1 - y]) for y in (0, 1)]
    probability = np.concatenate(joint)
    possible = probability > 0
    label = np.repeat([0, 1], len(shown))
    return Latents(np.tile(shown, (2, 1))[possible], label[possible], probability[possible])


def _given(
    task: Task, shown: Int[np.ndarray, "state modality"], truth: int, missing: float
) -> Float[np.ndarray, "state"]:
    """P(shown | y0 = truth): a product over the modalities."""
    a, b = shown % 2, shown // 2 % 2
    wrong = a != truth
    error = 0.1 + 0.05 * np.arange(shown.shape[1])
    each = np.full(shown.shape, 0.25)  # two fair bits, unless the task says otherwise
    match task:
        case "redundant":
            each = np.where(wrong, 0, 0.5)
        case "unique":
            each[:, -1] = np.where(wrong[:, -1], 0, 0.5)
        case "synergy":  # all but the last are free
            each[:, -1] = np.where(a.sum(axis=1) % 2 == truth, 0.5, 0)
        case "missing":
            each = np.where(wrong, error, 1 - error) / 2
        case "noisy":  # b tells whether a is garbled
            each = np.where(b, missing / 2, (1 - missing) * np.where(wrong, error, 1 - error))
        case "dominated":
            each[:, 0] = np.where(wrong[:, 0], _EASY, 1 - _EASY) / 2
            each[:, 1] = np.where((a ^ b)[:, 1] == truth, 0.5, 0)
    gone = missing if task == "missing" else 0.0
    return np.where(shown == MISSING, gone, (1 - gone) * each).prod(axis=1)


def temporal(names: Sequence[str], *, flip: float) -> Latents:
    """The states of "misaligned": the first shows a moment, the second one of the patterns.

    As many tokens that can be asked for show a 1 as a 0: neither the second modality alone nor
    any mean over its tokens tells anything.
    """
    patterns = planting.half(SERIES[names[0]].tokens)
    count, tokens = patterns.shape
    label, pattern, moment = np.indices((2, count, tokens)).reshape(3, -1)
    shown = np.zeros((len(label), len(names)), np.int64)
    shown[:, 0], shown[:, 1] = moment, pattern
    right = patterns[pattern, moment] == label
    return Latents(shown, label, np.where(right, 1 - flip, flip) / (count * tokens))


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

    def read(self, indices: np.ndarray, rng: np.random.Generator | None) -> Examples:
        """Rows of each modality, and the label "label", 0 or 1."""
        if rng is not None:
            return self._data.draw(len(indices), rng)
        inputs = {name: [rows[i] for i in indices] for name, rows in self._fixed.inputs.items()}
        return Examples(inputs, {"label": self._fixed.labels["label"][indices]})


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
    dominated: the first shows y0 with an error of 0.05, y0 = a xor b in the second; no flips.
    """

    # How the label is spread over the modalities.
    task: Task = "synergy"
    # Which modalities; "misaligned" needs all of them to be sequences of numbers.
    shape: Shape = "vision_touch"
    # Examples of an epoch of training, each drawn afresh.
    train_size: int = 4096
    # Examples to validate on, the same for ever.
    validation_size: int = 512
    # Examples to test on, the same for ever.
    test_size: int = 2048
    # Standard deviation of the sensors' noise; a bit is -1 or 1. At 0.25 no bit is lost.
    noise: float = 0.25
    # Share of labels that are flipped, 0 to 0.5; none are in "dominated".
    flip: float = 0.05
    # Chance of each modality to be missing ("missing") or garbled ("noisy"), 0 to 1.
    missing: float = 0.3
    # Of the examples to evaluate on.
    seed: int = 0

    def __post_init__(self):
        for name, choices in (("task", get_args(Task)), ("shape", get_args(Shape))):
            if getattr(self, name) not in choices:
                got = getattr(self, name)
                raise ValueError(f"{name}: got {got!r}, choose from {', '.join(choices)}")
        if self.task == "misaligned" and self.shape not in _TIMED:
            raise ValueError(
                f"shape: task 'misaligned' needs sequences of numbers, got {self.shape!r}, "
                f"choose from {', '.join(_TIMED)}"
            )
        for name in ("train_size", "validation_size", "test_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name, limit in (("flip", 0.5), ("missing", 1.0)):
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"{name}: expected 0 to {limit:g}, got {getattr(self, name)}")
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"noise: expected a finite number, 0 or more, got {self.noise}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed: expected 0 to 2**32 - 1, got {self.seed}")

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

    def unimodal_accuracy(self, modality: str) -> float:
        """Of whoever reads this modality alone; ValueError for one that the shape does not have."""
        if modality not in self.modalities:
            choices = ", ".join(self.modalities)
            raise ValueError(f"modality: got {modality!r}, choose from {choices}")
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
        return Preprocessing(
            {name: planting.fitted(name, rows) for name, rows in examples.inputs.items()}
        )

    def source(self, split: str) -> PlantedSource:
        """The examples of a split."""
        check_split(split)
        return PlantedSource(self, split)
