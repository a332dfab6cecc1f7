"""A planted regression: the product of what two sensors see, whose best possible error is known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmjax.data.dataset import Dataset, Examples, Source, check_split
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.synthetic.planting import Draws, frozen
from mmjax.data.targets import Number
from mmjax.data.transforms.features import FeatureTransform
from mmjax.errors import UserError

_FITTED = 4096  # examples that the statistics are fitted on


class PlantedNumberSource(Source):
    """One split; to train on it is without end, to evaluate on it is drawn once."""

    def __init__(self, data: "PlantedNumber", split: str) -> None:
        self._data, self._split = data, split

    def __len__(self) -> int:
        return getattr(self._data, f"{self._split}_size")

    @cached_property
    def _fixed(self) -> Examples:
        return self._data.draw(len(self), frozen(self._data.seed, self._split))

    def read(
        self, indices: np.ndarray, rng: np.random.Generator | None, own: slice = slice(None)
    ) -> Examples:
        """Rows of both modalities, float32 `[1, 4]` each, and the target "product"."""
        examples, rows = self._fixed, indices[own]
        if rng is not None:
            examples, rows = self._data.draw(len(indices), rng), np.arange(len(indices))[own]
        return Examples(
            {name: np.asarray(values)[rows] for name, values in examples.inputs.items()},
            {"product": np.asarray(examples.targets["product"])[rows]},
        )


@dataclass(frozen=True)
class PlantedNumber(Dataset):
    """product = a b + noise e, with a shown to "vision", b to "touch"; a, b, e ~ N(0, 1).

    Neither modality alone tells anything of the mean: its best R2 is 0. With both the best possible
    RMSE is `noise`, and R2 = 1 / (1 + noise^2). Each row also holds three numbers of pure noise.
    """

    noise: float = 0.2  # Standard deviation of what nobody can know
    train_size: int = 8192  # Examples of an epoch of training, each drawn afresh
    validation_size: int = 1024  # Examples to validate on, the same in every run
    test_size: int = 4096  # Examples to test on, the same in every run
    seed: int = 0  # Of the examples to evaluate on

    def __post_init__(self) -> None:
        if not 0 <= self.noise < np.inf:
            raise UserError(f"noise: expected a finite number, 0 or more, got {self.noise}")
        for name in ("train_size", "validation_size", "test_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected at least 1, got {getattr(self, name)}")

    def best_r2(self) -> float:
        """The R2 of the best predictor, which knows the rule."""
        return 1.0 / (1.0 + self.noise**2)

    def draw(self, count: int, draws: Draws) -> Examples:
        """New examples."""
        shown = draws.standard_normal((2, count, 4))
        product = shown[0, :, 0] * shown[1, :, 0] + self.noise * draws.standard_normal(count)
        rows = shown[:, :, None].astype(np.float32)  # one token each
        return Examples({"vision": rows[0], "touch": rows[1]}, {"product": product})

    def prepare(self) -> None:
        """There is nothing to prepare: no file is read or written."""

    def preprocessing(self) -> Preprocessing:
        """Statistics of a fixed draw of training examples."""
        examples = self.draw(_FITTED, frozen(self.seed, "train"))
        fitted = {n: FeatureTransform.fit(r, max_tokens=1) for n, r in examples.inputs.items()}
        return Preprocessing(fitted, {"product": Number.fit(examples.targets["product"])})

    def source(self, split: str) -> PlantedNumberSource:
        """The examples of a split."""
        check_split(split)
        return PlantedNumberSource(self, split)
