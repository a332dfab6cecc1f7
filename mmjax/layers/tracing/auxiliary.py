"""Auxiliary losses: what a module adds to the training loss beside the objectives."""

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
    """Record `weight * loss` of the examples that are `counted`, under the module's own path.

    Per example, not summed: the training step knows which examples count, and divides the global
    total by the global count. Outside training nothing is recorded.
    """
    if module.is_initializing():  # a loss is no variable of the model
        return
    loss = loss.astype(jnp.float32)
    counts = counted.astype(loss.dtype)
    # `where`: what is not counted may be anything, and must get no gradient.
    kept = weight * jnp.where(counted, loss, jnp.zeros_like(loss))
    # Linen would collect the records of several calls in a tuple; there is one call.
    found = kept, counts
    module.sow(COLLECTION, name, found, reduce_fn=lambda _, new: new, init_fn=lambda: found)
