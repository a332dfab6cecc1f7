"""A synthetic regression: the product of two numbers, whose best possible error is known."""

from dataclasses import dataclass

import numpy as np

from mmjax.data.dataset import Examples
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.synthetic.drawn import Drawn
from mmjax.data.synthetic.planting import Draws, frozen
from mmjax.data.targets import Number
from mmjax.data.transforms.features import FeatureTransform
from mmjax.errors import UserError

_FITTED = 4096  # examples that the statistics are fitted on


@dataclass(frozen=True)
class PlantedNumber(Drawn):
    """product = a b + noise e, with a in "vision" and b in "touch"; a, b, e ~ N(0, 1).

    With one modality alone the best R2 is 0. With both the best RMSE is `noise` and the best R2 is
    1 / (1 + noise^2). Each row also holds three random numbers.
    """

    noise: float = 0.2  # standard deviation of the noise, which no model can predict
    train_size: int = 8192  # training examples of an epoch
    validation_size: int = 1024  # validation examples, the same in every run
    test_size: int = 4096  # test examples, the same in every run

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.noise < np.inf:
            raise UserError(f"noise: expected a finite number, 0 or more, got {self.noise}")

    def best_r2(self) -> float:
        """The R2 of the best predictor, which knows the rule."""
        return 1.0 / (1.0 + self.noise**2)

    def draw(self, count: int, draws: Draws) -> Examples:
        """Rows of both modalities, float32 `[1, 4]` each, and the target "product"."""
        shown = draws.standard_normal((2, count, 4))
        product = shown[0, :, 0] * shown[1, :, 0] + self.noise * draws.standard_normal(count)
        rows = shown[:, :, None].astype(np.float32)  # one token each
        return Examples({"vision": rows[0], "touch": rows[1]}, {"product": product})

    def preprocessing(self) -> Preprocessing:
        """Statistics of a fixed draw of training examples."""
        examples = self.draw(_FITTED, frozen(self.seed, "train"))
        fitted = {n: FeatureTransform.fit(r, max_tokens=1) for n, r in examples.inputs.items()}
        return Preprocessing(fitted, {"product": Number.fit(examples.targets["product"])})
