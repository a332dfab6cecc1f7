"""Proportional hazards, Cox 1972; ties as in Efron 1977 (JASA 72, 557-565)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from mmjax.errors import UserError
from mmjax.layers.tracing import collectives
from mmjax.metrics.survival import concordance
from mmjax.objectives.objective import Objective, target_of
from mmjax.types import Batch, Outputs, WeightedMean


@final
@dataclasses.dataclass(frozen=True)
class Cox(Objective):
    """loss = -mean over events i of h_i - log sum_{j: t_j >= t_i} exp(h_j), the log partial hazard.

    The head gives the log hazard h `[batch]`, relative to the others; the target is `Survival`.
    Censored examples only count in the sums. Of d events at one time the l-th (from 0) leaves
    l / d of their hazards out of its sum. The sums are over the global batch, so a batch needs
    events and must not be small; in an evaluation they are over one chunk, and the concordance is
    exact. The weight of an example only says whether it counts.
    """

    mixes_examples: ClassVar[bool] = True

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """`loss`, per event. UserError where the shapes do not fit."""
        hazard, time, event, counts = self._rows(outputs, batch)
        everyone = collectives.gather((hazard, time, event, counts))
        loss = -log_partial_likelihood((hazard, time, event, counts), everyone)
        events = jnp.sum((event & counts).astype(jnp.float32))
        return {"loss": WeightedMean(loss, events)}

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """What `concordance` needs of each example."""
        hazard, time, event, counts = self._rows(outputs, batch)
        return {"hazard": hazard, "time": time, "event": event, "counts": counts}

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """`concordance`, and `events`: the share of the examples that have one."""
        kept = records["counts"]
        if not np.any(kept):
            return {}
        hazard, time, event = (records[name][kept] for name in ("hazard", "time", "event"))
        return {"concordance": concordance(hazard, time, event), "events": float(event.mean())}

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The log hazard relative to others; a higher one means an earlier event."""
        return [{"value": float(value)} for value in np.asarray(outputs.values[self.output])]

    def _rows(self, outputs: Outputs, batch: Batch) -> tuple[Array, Array, Array, Array]:
        hazard = outputs.values[self.output].astype(jnp.float32)
        target, weight = target_of(self, batch)
        if hazard.ndim != 1 or target.ndim != 2 or target.shape[1] != 2:
            raise UserError(
                f"head {self.output!r} gives {hazard.shape} and target {self.target!r} is "
                f"{target.shape}: expected a number [batch], and time and event [batch, 2]"
            )
        counts = weight[:, 0] > 0
        hazard = jnp.where(counts, hazard, jnp.zeros_like(hazard))
        return hazard, jnp.asarray(target[:, 0]), jnp.asarray(target[:, 1]) > 0, counts


Rows = tuple[Float[Array, "*row"], Float[Array, "*row"], Bool[Array, "*row"], Bool[Array, "*row"]]
Everyone = tuple[
    Float[Array, "*other"], Float[Array, "*other"], Bool[Array, "*other"], Bool[Array, "*other"]
]


def log_partial_likelihood(own: Rows, everyone: Everyone) -> Float[Array, ""]:
    """The sum over the events of `own`, whose sums of hazards are over `everyone`.

    Rows are the log hazard, the time, whether the event happened, and whether the example counts.
    """
    hazard, time, event, counts = own
    others, times, events, kept = everyone
    top = jax.lax.stop_gradient(jnp.max(jnp.where(kept, others, -jnp.inf), initial=-1e30))
    relative = jnp.where(kept, jnp.exp(others - top), 0.0)[None]
    at_risk = jnp.sum(jnp.where(times[None] >= time[:, None], relative, 0.0), axis=1)
    tied = (times[None] == time[:, None]) & (events & kept)[None]
    # How many of the tied events come before it: all rows are gathered in device order.
    position = jnp.arange(times.shape[0])
    here = collectives.index() * time.shape[0] + jnp.arange(time.shape[0])
    before = jnp.sum(tied & (position[None] < here[:, None]), axis=1)
    share = before / jnp.maximum(jnp.sum(tied, axis=1), 1)
    left = at_risk - share * jnp.sum(jnp.where(tied, relative, 0.0), axis=1)
    mine = event & counts
    log_left = jnp.log(jnp.where(mine, jnp.maximum(left, 1e-30), 1.0))
    return jnp.sum(jnp.where(mine, hazard - top - log_left, 0.0))
