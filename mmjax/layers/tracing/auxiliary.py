"""Auxiliary losses, which modules add to the loss of the objectives."""

from flax import linen as nn
from jax import Array
from jax import numpy as jnp
from jaxtyping import Bool, Float

COLLECTION = "losses"


def add_loss(
    module: nn.Module,
    name: str,
    loss: Float[Array, "batch"],
    counted: Bool[Array, "batch"],
    weight: float,
) -> None:
    """Record `weight * loss` of the `counted` examples under the module's path.

    It is recorded per example: the training step knows the examples' weights and divides the global
    total by the global count. It is recorded only if the collection "losses" is mutable.
    """
    if module.is_initializing():  # a loss is not a variable of the model
        return
    loss = loss.astype(jnp.float32)
    counts = counted.astype(loss.dtype)
    # `where`: a loss that does not count may be NaN and must receive zero gradient.
    kept = weight * jnp.where(counted, loss, jnp.zeros_like(loss))
    # Without these functions linen would append the record to a tuple.
    record = kept, counts
    module.sow(COLLECTION, name, record, reduce_fn=lambda _, new: new, init_fn=lambda: record)
