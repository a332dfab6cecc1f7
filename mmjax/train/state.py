"""The state of a training: arrays and nothing else."""

from typing import Any, Union

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct
from jaxtyping import Int

from mmjax.types import Batch


@struct.dataclass
class TrainState:
    """Everything a step reads and changes. `key` never changes: randomness is derived from it.

    Any: JAX also builds states of shapes and of shardings.
    """

    step: Any  # int32 []: updates made so far
    params: Any
    collections: Any  # what the model keeps beside parameters, such as running statistics
    opt_state: Any
    key: Any  # uint32 [2]: the data of the run's base key

    @property
    def variables(self) -> dict[str, Any]:
        """What `model.apply` takes."""
        return {"params": self.params, **self.collections}


def create_state(
    model: nn.Module,
    tx: optax.GradientTransformation,
    batch: Batch,
    *,
    seed: Union[int, Int[jax.Array, ""]],
) -> TrainState:
    """The state before the first step. Of `batch` only the shapes and types matter.

    Under `jax.vmap` over seeds it makes the states of several runs at once.
    """

    @jax.jit  # one program, and no two leaves that share a buffer
    def init(inputs) -> TrainState:
        key = jax.random.key(seed)
        # Not the run's own key: no step may reuse the bits that the parameters were drawn with.
        variables = dict(model.init(jax.random.fold_in(key, 2**31 - 1), inputs, train=False))
        params = variables.pop("params")
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            collections=variables,
            opt_state=tx.init(params),
            key=jax.random.key_data(key),
        )

    return init(batch.inputs)
