"""What every balance is."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from jax import Array

from mmjax.types import MetricName, WeightedMean


@dataclasses.dataclass(frozen=True)
class Balance(abc.ABC):
    """Weighs the losses of single modalities, and changes the gradients of their encoders."""

    unimodal: ClassVar[tuple[str, ...]]
    """What the model's field `unimodal` may be under it."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that its fields name; they must be the model's."""
        return ()

    @abc.abstractmethod
    def weight(self, modality: str | None) -> float:
        """Of a modality's own loss in the total; None: of the loss of all together."""

    def modulate(self, gradients: Any, means: Mapping[MetricName, WeightedMean], key: Array) -> Any:
        """Change the gradients of the global batch, given its means; by default not at all."""
        return gradients
