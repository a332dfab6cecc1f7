"""Preferences between two items: Bradley and Terry 1952, doi:10.2307/2334029."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mmjax.errors import UserError
from mmjax.layers.tokens.masking import clear
from mmjax.objectives.objective import Objective, mean_of
from mmjax.types import Batch, Outputs, WeightedMean


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class BradleyTerry(Objective):
    """loss = -log sigmoid(scale (q . better - q . worse)).

    For examples in which somebody preferred one of two items as the answer to a query. It reads
    the vectors of a dual encoder: the query q is the sum of those of `queries`, of which an example
    has one or more. An example that lacks an item or every query counts for nothing.
    """

    output: str = "embedding"
    target: str | None = None  # none is read: who was preferred says the name of the modality
    better: str = "better"  # the modality of the item that was preferred
    worse: str = "worse"  # the modality of the other
    queries: tuple[str, ...] = ()  # empty: all others

    reads_vectors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        items = {self.better, self.worse}
        if self.target is not None or len(items) < 2 or items & {*self.queries}:
            raise UserError(
                "expected no target, and different modalities for better, worse and queries, got "
                f"{self.target}, {self.better}, {self.worse} and {self.queries}"
            )

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """`loss`, and `agreement`: how often the preferred item is nearer to the query."""
        gap, weight = self._gaps(outputs, jnp.asarray(batch.weight))
        logit = jnp.asarray(outputs.values[self.output]["scale"]) * gap
        right = jnp.where(gap == 0, 0.5, (gap > 0).astype(jnp.float32))
        loss = mean_of(weight, jax.nn.softplus(-logit))
        return {"loss": loss, "agreement": mean_of(weight, right)}

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """How much nearer the preferred item is, as a difference of cosines, and the weight."""
        gap, weight = self._gaps(outputs, jnp.asarray(batch.weight))
        return {"gap": gap, "weight": weight}

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """`agreement`; half for ties, which no order decides. None where no example counts."""
        del kind
        counts = records["weight"] > 0
        if not np.any(counts):
            return {}
        gap, weight = (np.asarray(records[n][counts], np.float64) for n in ("gap", "weight"))
        right = np.where(gap == 0, 0.5, gap > 0)
        return {"agreement": float(np.average(right, weights=weight))}

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The probability that people prefer the first item; half where one of them is missing."""
        del kind
        gap, _ = self._gaps(outputs, jnp.ones(()))
        logit = np.asarray(outputs.values[self.output]["scale"]) * np.asarray(gap)
        return [{"value": float(p)} for p in 1 / (1 + np.exp(-logit))]

    def _gaps(
        self, outputs: Outputs, weight: Float[Array, "*batch"]
    ) -> tuple[Float[Array, "batch"], Float[Array, "batch"]]:
        """Differences of the two cosines, and the weights; both 0 where something is missing."""
        vectors, present = outputs.values[self.output]["vectors"], outputs.present
        items = (self.better, self.worse)
        queries = self.queries or tuple(sorted({*vectors} - {*items}))
        if not queries or not {*queries, *items} <= {*vectors}:
            raise UserError(
                f"objective of {self.output!r}: expected the modalities {self.better}, "
                f"{self.worse} and {' '.join(self.queries) or 'another'}, got {sorted(vectors)}"
            )
        asked = jnp.any(jnp.stack([present[name] for name in queries]), axis=0)
        weight = jnp.where(present[self.better] & present[self.worse] & asked, weight, 0.0)
        counts = weight > 0
        query = jnp.zeros_like(vectors[queries[0]])
        for name in queries:
            query += clear(vectors[name], counts & present[name])
        better, worse = (clear(vectors[name], counts) for name in items)
        return jnp.sum(query * (better - worse), axis=1), weight
