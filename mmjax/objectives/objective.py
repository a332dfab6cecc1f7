"""What every objective is."""

import abc
import dataclasses
from collections.abc import Mapping

import numpy as np
from jax import Array

from mmjax.types import Batch, WeightedMean


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(abc.ABC):
    """What a training minimises and an evaluation reports."""

    weight: float = 1.0  # of this objective in the total loss

    @abc.abstractmethod
    def __call__(
        self, name: str, outputs: Mapping[str, Array], batch: Batch
    ) -> dict[str, WeightedMean]:
        """Sums of at least `loss`; `name` is the objective's own in the experiment."""

    @abc.abstractmethod
    def metrics(
        self,
        name: str,
        outputs: Mapping[str, np.ndarray],
        labels: Mapping[str, np.ndarray],
        weight: np.ndarray,
    ) -> dict[str, float]:
        """What needs all examples of a split at once, such as exact rank metrics."""

    @abc.abstractmethod
    def answers(self, name: str, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What a user asks for instead of raw outputs, one per example: probabilities, say."""
