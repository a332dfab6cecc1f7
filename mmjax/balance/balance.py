"""What every balance is."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from jax import Array

from mmjax.types import WeightedMean


@dataclasses.dataclass(frozen=True)
class Balance(abc.ABC):
    """Weighs the losses of single modalities, and changes the gradients of their encoders."""

    unimodal: ClassVar[tuple[str, ...]]
    """What the model's field `unimodal` may be under it."""

    @abc.abstractmethod
    def weight(self, modality: str | None) -> float:
        """Of a modality's own loss in the total; None: of the loss of all together."""

    def modulate(self, gradients: Any, sums: Mapping[str, WeightedMean], key: Array) -> Any:
        """Change the gradients of the global batch, given its sums; as they are by default."""
        return gradients
