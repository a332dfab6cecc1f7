"""Error of predicted waypoints, with the rate of collisions (Hu et al. 2023, arXiv:2212.10156)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, final

import jax.numpy as jnp
import numpy as np
from jax import Array

from mmjax.metrics.paths import path_metrics
from mmjax.objectives.objective import Comparison, mean_of, require_shape, target_of
from mmjax.types import Batch, Outputs, WeightedMean


@final
@dataclasses.dataclass(frozen=True)
class PathError(Comparison):
    """loss = mean |output - target| of x and y of the known waypoints, standardised.

    Outputs and targets are `[batch, waypoint, 2]`.
    """

    obstacles: str | None = None  # the target, a grid, in which paths may collide
    # Of that grid, in metres: x from, to; y from, to.
    extent: tuple[float, float, float, float] = (0.0, 32.0, -16.0, 16.0)

    def valid(self, output: Array, target: Array) -> Array:
        """Finite waypoints."""
        require_shape(self, output, target)
        return jnp.isfinite(target)

    def means(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """`loss`."""
        return {"loss": mean_of(weight, jnp.abs(output - target))}

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """Output, target and weight, and the obstacles where they are named."""
        found = super().record(outputs, batch)
        if self.obstacles is not None:
            grid, known = target_of(dataclasses.replace(self, target=self.obstacles), batch)
            found["obstacles"] = (grid > 0.5) & (known > 0)
        return found

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """The metrics of `path_metrics`, in metres where the kind of the target is known."""
        if not np.any(records["weight"] > 0):
            return {}
        output, target = records["output"], records["target"]
        if kind is not None:
            output, target = kind.metres(output), kind.metres(target)
        grids = records.get("obstacles")
        return path_metrics(output, target, records["weight"][..., 0], grids, self.extent)

    def exact(
        self, output: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: Any
    ) -> dict[str, float]:
        """The metrics without obstacles."""
        return self.metrics({"output": output, "target": target, "weight": weight}, kind)

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """x and y of each waypoint, in metres where the kind of the target is known."""
        values = np.asarray(outputs.values[self.output], np.float64)
        values = values if kind is None else kind.metres(values)
        unit = {"unit": "m"} if kind is not None else {}
        return [{"value": np.round(path, 3).tolist(), **unit} for path in values]
