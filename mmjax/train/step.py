"""One step of training and one of evaluation: pure functions, as seen by one device."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from mmjax.train.state import TrainState
from mmjax.types import Batch, Sums


def _over(axis: str | None, reduce, tree):
    """`reduce` over the devices of `axis`; with None this device sees the global batch already."""
    return tree if axis is None else reduce(tree, axis)


def _averaged(collections, axis: str):
    """Statistics are averaged over the devices; counters are the same on all and stay integers."""
    return jax.tree.map(
        lambda x: (jax.lax.pmean if jnp.issubdtype(x.dtype, jnp.floating) else jax.lax.pmax)(
            x, axis
        ),
        collections,
    )


def measure(
    objectives: Mapping[str, Any], outputs: Mapping[str, Array], batch: Batch
) -> dict[str, Sums]:
    """The sums of every objective, as `<objective>/<quantity>`."""
    return {
        f"{name}/{quantity}": sums
        for name, objective in objectives.items()
        for quantity, sums in objective(name, outputs, batch).items()
    }


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: nn.Module,
    objectives: Mapping[str, Any],
    tx: optax.GradientTransformation,
    axis: str | None,
) -> tuple[TrainState, dict[str, Sums]]:
    """One update, and the sums that it was made from.

    `axis=None`: `batch` is the global batch (plain jit, or jit over shardings). `axis="data"`: it
    is this device's share, and sums run over the named axis (pmap). Both give the same update.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    if axis is not None:
        key = jax.random.fold_in(key, jax.lax.axis_index(axis))

    def loss_of(params):
        outputs, collections = model.apply(
            {"params": params, **state.collections},
            batch.inputs,
            train=True,
            rngs={"dropout": key},
            mutable=list(state.collections),
        )
        sums = measure(objectives, outputs, batch)
        # A share of the global mean: this device's total over everybody's count.
        loss = sum(
            objective.weight
            * Sums(
                sums[f"{name}/loss"].total, _over(axis, jax.lax.psum, sums[f"{name}/loss"].count)
            ).mean()
            for name, objective in objectives.items()
        )
        return loss, (sums, collections)

    grads, (sums, collections) = jax.grad(loss_of, has_aux=True)(state.params)
    grads, sums = _over(axis, jax.lax.psum, (grads, sums))
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    state = dataclasses.replace(
        state,
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        collections=_over(axis, _averaged, collections),
        opt_state=opt_state,
    )
    return state, sums


def eval_step(
    variables: Mapping[str, Any],
    batch: Batch,
    *,
    model: nn.Module,
    objectives: Mapping[str, Any],
) -> tuple[dict[str, Sums], dict[str, Array]]:
    """The sums over these examples, and their outputs one by one."""
    outputs = cast(dict[str, Array], model.apply(variables, batch.inputs, train=False))
    return measure(objectives, outputs, batch), outputs
