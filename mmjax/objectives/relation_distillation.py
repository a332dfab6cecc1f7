"""Relational knowledge distillation by distances: Park et al. 2019, arXiv:1904.05068."""

import dataclasses
from typing import ClassVar, final

import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float

from mmjax.errors import UserError
from mmjax.layers.tracing import collectives
from mmjax.objectives.distillation import Taught
from mmjax.types import WeightedMean


@final
@dataclasses.dataclass(frozen=True)
class RelationDistillation(Taught):
    """loss = mean over pairs of huber(d_ij(student) - d_ij(teacher)).

    d_ij = |x_i - x_j| / mean of |x_i - x_j|.

    The distances of all pairs of different examples in the global batch, each relative to their
    mean. The widths of student and teacher may differ. Gradients reach both examples of a pair.
    Memory grows with the square of the batch.
    """

    mixes_examples: ClassVar[bool] = True

    def require_comparable(self, output: Array, target: Array) -> None:
        """UserError unless both are vectors."""
        if output.ndim != 2 or target.ndim != 2:
            raise UserError(
                f"head {self.output!r} gives {output.shape} and the teacher's {self.target!r} is "
                f"{target.shape}: expected vectors [batch, dim]"
            )

    def compare(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """`loss`, over the pairs whose first example is on this device."""
        everyone = collectives.gather((output, target, weight))
        pairs = weight[:, None] * everyone[2][None]
        student, teacher = (
            _relative(own, others, pairs)
            for own, others in zip((output, target), everyone[:2], strict=True)
        )
        pairs = jnp.where(teacher > 0, pairs, 0.0)  # an example and itself
        loss = jnp.sum(pairs * optax.losses.huber_loss(student, teacher))
        return {"loss": WeightedMean(loss, jnp.sum(pairs))}


def _relative(
    own: Float[Array, "batch dim"],
    others: Float[Array, "everyone dim"],
    pairs: Float[Array, "batch everyone"],
) -> Float[Array, "batch everyone"]:
    """The distances of all pairs, over their mean; 0 between an example and itself."""
    square = jnp.sum(jnp.square(own[:, None] - others[None]), axis=-1)
    apart = square > 0
    # The root's gradient at 0 is infinite.
    distance = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)
    counted = jnp.where(apart, pairs, 0.0)
    total, count = collectives.total((jnp.sum(counted * distance), jnp.sum(counted)))
    return distance / jnp.maximum(total / jnp.maximum(count, 1.0), 1e-6)
