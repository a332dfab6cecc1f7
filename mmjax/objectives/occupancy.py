"""Sigmoid cross-entropy of the cells of a grid, with the intersection over union."""

import dataclasses
from collections.abc import Mapping
from typing import Any, final

import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import Array

from mmjax.errors import UserError
from mmjax.objectives.binary_cross_entropy import binary_cross_entropy
from mmjax.objectives.objective import Comparison, mean_of, require_shape
from mmjax.types import Batch, Outputs, WeightedMean


@final
@dataclasses.dataclass(frozen=True)
class OccupancyCrossEntropy(Comparison):
    """loss = mean over known cells of the sigmoid cross-entropy; logits `[batch, row, cell]`."""

    pos_weight: float = 1.0  # weight of the loss of occupied cells, which are few

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pos_weight > 0:
            raise UserError(f"pos_weight: expected more than 0, got {self.pos_weight}")

    def valid(self, output: Array, target: Array) -> Array:
        """Cells that are 0 or 1."""
        require_shape(self, output, target)
        return (target == 0) | (target == 1)

    def means(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """`loss` and `accuracy` of the known cells."""
        return {
            "loss": mean_of(weight, binary_cross_entropy(output, target, self.pos_weight)),
            "accuracy": mean_of(weight, (output > 0) == (target > 0.5)),
        }

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """The weighted cells of each example that are truly, wrongly and not found occupied."""
        output, target, weight, _ = self._compared(outputs, batch)
        found, occupied = output > 0, target > 0.5
        parts = {"hits": found & occupied, "false": found & ~occupied, "missed": ~found & occupied}
        kept = {n: jnp.sum(jnp.where(one, weight, 0.0), axis=(1, 2)) for n, one in parts.items()}
        return kept | {"weight": jnp.max(weight, axis=(1, 2))}

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """Of the cells of the whole split: `iou`, `precision`, `recall`.

        Intersection over union (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4) is
        hits / (hits + false + missed). NaN where the quotient is 0 / 0.
        """
        if not np.any(records["weight"] > 0):
            return {}
        hits, false, missed = (
            float(np.sum(records[n], dtype=np.float64)) for n in ("hits", "false", "missed")
        )
        parts = {"iou": hits + false + missed, "precision": hits + false, "recall": hits + missed}
        return {name: hits / total if total else float("nan") for name, total in parts.items()}

    def exact(
        self, output: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: Any
    ) -> dict[str, float]:
        """The metrics of logits; `metrics` has counts in place of these."""
        raise NotImplementedError("OccupancyCrossEntropy.metrics reads counts")

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The rows of the grid: the probability that each cell is occupied, to 3 digits."""
        probability = scipy.special.expit(np.asarray(outputs.values[self.output], np.float64))
        return [{"value": np.round(grid, 3).tolist()} for grid in probability]
