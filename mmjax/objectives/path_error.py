"""Error of predicted waypoints, with the rate of collisions (Hu et al. 2023, arXiv:2212.10156)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, final

import jax.numpy as jnp
import numpy as np
from jax import Array

from mmjax.metrics.paths import collides, displacements
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
        """The metrics of `exact`, and with obstacles `collisions` and `true_collisions`.

        Shares of the predicted and of the true paths that have a known waypoint in an occupied
        cell. Without the kind of the target waypoints are taken as they are.
        """
        found = super().metrics(records, kind)
        if found and self.obstacles is not None:
            counts = records["weight"][..., 0] > 0
            known = np.any(counts, axis=1)
            for name, paths in (("collisions", "output"), ("true_collisions", "target")):
                places = _in_metres(records[paths], kind)
                hit = collides(places, records["obstacles"], self.extent, counts)
                found[name] = float(np.mean(hit[known]))
        return found

    def exact(
        self, output: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: Any
    ) -> dict[str, float]:
        """The metrics of `displacements`, in metres where the kind of the target is known."""
        return displacements(_in_metres(output, kind), _in_metres(target, kind), weight[..., 0])

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """x and y of each waypoint, in metres where the kind of the target is known."""
        values = _in_metres(np.asarray(outputs.values[self.output], np.float64), kind)
        unit = {"unit": "m"} if kind is not None else {}
        return [{"value": np.round(path, 3).tolist(), **unit} for path in values]


def _in_metres(paths: np.ndarray, kind: Any) -> np.ndarray:
    return paths if kind is None else kind.metres(paths)
