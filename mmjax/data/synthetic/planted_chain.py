"""A synthetic question whose answer takes two steps, one in each modality."""

from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.dataset import Examples
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.synthetic.drawn import Drawn
from mmjax.data.synthetic.planting import Draws, frozen
from mmjax.data.targets import Binary
from mmjax.data.transforms.features import FeatureTransform
from mmjax.errors import UserError

_FITTED = 1024  # examples that the preprocessing is fitted on


@final
@dataclass(frozen=True)
class PlantedChain(Drawn):
    """Where is the marked thing, and is the light on there?

    The modality `map` has a token for each thing: whether it is marked (one is), and at which place
    it is, one-hot. `lights` has a token for each place, in any order: which place, one-hot, and
    whether the light is on; half are. The target "label" is the light at the place of the marked
    thing, flipped with probability `flip`. The best accuracy is 1 - flip with both modalities,
    and 1/2 with either alone.
    """

    lit: int = 3  # lights that are on; as many are off
    noise: float = 0.1  # standard deviation of what is added to every number
    flip: float = 0.05  # share of labels that are flipped, 0 to 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lit < 1:
            raise UserError(f"lit: expected at least 1, got {self.lit}")
        if not 0 <= self.flip <= 0.5:
            raise UserError(f"flip: expected 0 to 0.5, got {self.flip}")
        if not 0 <= self.noise < np.inf:
            raise UserError(f"noise: expected a finite number, 0 or more, got {self.noise}")

    @property
    def places(self) -> int:
        """The number of places, and of things."""
        return 2 * self.lit

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the modalities."""
        return ("map", "lights")

    def best_accuracy(self) -> float:
        """The accuracy of the best predictor that reads both modalities."""
        return 1.0 - self.flip

    def best_score(self, split: str) -> float:
        """The accuracy of the best predictor on the examples of a split."""
        count = getattr(self, f"{split}_size")
        examples = self.draw(count, frozen(self.seed, split))
        rows = zip(examples.inputs["map"], examples.inputs["lights"], strict=True)
        found = [_answer(*row) for row in rows]
        return float(np.mean(np.array(found) == examples.targets["label"]))

    def draw(self, count: int, draws: Draws) -> Examples:
        """Rows float32 `[token, 1 + places]` of both modalities, and the target "label"."""
        n, shape = self.places, (count, self.places)
        things, order, lit = (np.argsort(draws.random(shape), axis=1) for _ in range(3))
        marked = np.arange(n) == np.argmax(draws.random(shape), axis=1)[:, None]
        on = lit < self.lit  # by place
        place = things[marked]
        label = on[np.arange(count), place] ^ (draws.random(count) < self.flip)
        rows = {}
        for name, first, at in (("map", marked, things), ("lights", _of(on, order), order)):
            values = np.concatenate([first[..., None], np.eye(n)[at]], axis=2)
            values = values + self.noise * draws.standard_normal(values.shape)
            rows[name] = list(values.astype(np.float32))
        return Examples(rows, {"label": label.astype(np.float32)})

    def preprocessing(self) -> Preprocessing:
        """Statistics of a fixed draw of training examples."""
        examples = self.draw(_FITTED, frozen(self.seed, "train"))
        fitted = {
            name: FeatureTransform.fit(rows, max_tokens=self.places)
            for name, rows in examples.inputs.items()
        }
        return Preprocessing(fitted, {"label": Binary()})


def _of(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, order, axis=1)


def _answer(things: np.ndarray, lights: np.ndarray) -> float:
    place = np.argmax(things[np.argmax(things[:, 0]), 1:])
    return float(lights[np.argmax(lights[:, 1 + place]), 0] > 0.5)
