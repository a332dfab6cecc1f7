"""Sigmoid cross-entropy of the cells of a grid, with the intersection over union."""

import dataclasses
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
        """Weighted cells of each example: rightly found and all found, occupied, and known."""
        output, target, weight, _ = self._compared(outputs, batch)
        found, occupied = output > 0, target > 0.5

        def cells(which: Array) -> Array:
            return jnp.sum(jnp.where(which, weight, 0.0), axis=(1, 2))

        output = jnp.stack([cells(found & occupied), cells(found)], axis=1)
        return {"output": output, "target": cells(occupied), "weight": cells(weight > 0)}

    def exact(
        self, output: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: Any
    ) -> dict[str, float]:
        """`iou`, `precision` and `recall` of the cells of the whole split, from its counts.

        Intersection over union (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4) is
        hits / (found + occupied - hits). NaN where the quotient is 0 / 0.
        """
        columns = (output[:, 0], output[:, 1], target)
        hits, found, occupied = (np.sum(one, dtype=np.float64) for one in columns)
        parts = {"iou": found + occupied - hits, "precision": found, "recall": occupied}
        return {n: float(hits / total) if total else float("nan") for n, total in parts.items()}

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The rows of the grid: the probability that each cell is occupied, to 3 digits."""
        probability = scipy.special.expit(np.asarray(outputs.values[self.output], np.float64))
        return [{"value": np.round(grid, 3).tolist()} for grid in probability]
