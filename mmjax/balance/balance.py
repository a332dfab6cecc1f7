"""The base class of balances."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from jax import Array

from mmjax.types import MetricName, WeightedMean


@dataclasses.dataclass(frozen=True)
class Balance(abc.ABC):
    """Weighs unimodal losses, and may change the gradients of encoders."""

    unimodal: ClassVar[tuple[str, ...]]
    """Allowed values of the model's field `unimodal`."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that its fields name; the model must have them."""
        return ()

    def weight(self, modality: str | None) -> float:
        """Weight of a modality's own loss; None: of the joint loss.

        By default 1: the gradient of a probe reaches no encoder.
        """
        return 1.0

    def modulate(self, gradients: Any, means: Mapping[MetricName, WeightedMean], key: Array) -> Any:
        """The gradients to use for the global batch, given its means; by default unchanged."""
        return gradients
