"""The state of a training: arrays and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Integer

from mmjax.models.base import Model
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
    average: Any = None  # of the parameters over the steps, or None where none is kept
    balance: Any = None  # what a balance carries from step to step, or None

    @property
    def variables(self) -> dict[str, Any]:
        """What is evaluated, and `model.apply` takes: averaged parameters where there are any."""
        params = self.params if self.average is None else self.average
        return {"params": params, **self.collections}

    @property
    def training(self) -> dict[str, Any]:
        """All else: what only a training needs."""
        found = {"step": self.step, "opt_state": self.opt_state, "key": self.key}
        if self.average is not None:
            found["params"] = self.params
        return found if self.balance is None else found | {"balance": self.balance}

    @classmethod
    def of(cls, variables: Mapping[str, Any], training: Mapping[str, Any]) -> "TrainState":
        """The state that has these `variables` and this `training`."""
        collections = dict(variables)
        evaluated = collections.pop("params")
        average = evaluated if "params" in training else None
        return cls(**{"params": evaluated, **training}, collections=collections, average=average)


def create_state(
    model: Model,
    tx: optax.GradientTransformation,
    batch: Batch,
    *,
    seed: int | Integer[jax.Array, ""],
    ema: float = 0.0,
    balance: Callable[[], Any] = lambda: None,
) -> TrainState:
    """The state before the first step. Of `batch` only the shapes and types matter.

    With `ema` above 0 it keeps an average of the parameters; `balance` makes what a balance carries
    (`Balance.initial`). To make several states, jit it as a function of the seed: no two leaves of
    the result share a buffer then.
    """

    @jax.jit
    def init(seed, inputs) -> TrainState:
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
            average=jax.tree.map(jnp.copy, params) if ema > 0 else None,
            balance=balance(),
        )

    return init(jnp.asarray(seed, jnp.uint32), batch.inputs)
