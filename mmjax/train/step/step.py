"""One step of training and one of evaluation: pure functions, as seen by one device."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from mmjax.balance import JOINT, Balance
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing.auxiliary import COLLECTION
from mmjax.layers.tracing.collectives import summing
from mmjax.models.train_state import TrainState
from mmjax.train.step import finite
from mmjax.train.step.gradient import gradient
from mmjax.train.step.loss import auxiliary, measure, total_loss
from mmjax.types import Batch, Masked, WeightedMean

BALANCE_KEY = 2**31 - 1  # no replica has this index


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


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: nn.Module,
    objectives: Mapping[str, Any],
    tx: optax.GradientTransformation,
    axis: str | None,
    balance: Balance = JOINT,
    ema: float = 0.0,
    guard: bool = True,
    accumulate: int = 1,
) -> tuple[TrainState, dict[str, WeightedMean]]:
    """One update, and the sums that it was made from.

    With `guard` the state stays as it was where the loss or a gradient is NaN or infinite, and the
    sums say which (`finite.py`). `ema` is the decay of the parameters' average, in a state that
    keeps one. `accumulate`: in how many parts, one after the other, the gradient is computed.

    `axis=None`: `batch` is the global batch (plain jit, or jit over shardings). `axis="data"`: it
    is this device's share, and sums run over the named axis (pmap). Both give the same update.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    own = key if axis is None else jax.random.fold_in(key, jax.lax.axis_index(axis))

    # A filler is missing in every modality: no statistic that a module keeps may count it.
    inputs = {
        name: Masked(given.values, clear(given.mask, batch.weight > 0))
        for name, given in batch.inputs.items()
    }

    def forward(params, collections, part, key):
        outputs, collections = model.apply(
            {"params": params, **collections},
            part.inputs,
            train=True,
            rngs={"dropout": key},
            mutable=[*collections, COLLECTION],
        )
        collections = dict(collections)
        recorded = collections.pop(COLLECTION, {})
        return measure(objectives, outputs, part) | auxiliary(recorded, part), collections

    across = functools.partial(_over, axis, jax.lax.psum)
    with summing(across):
        grads, loss, sums, collections = gradient(
            forward,
            functools.partial(total_loss, objectives=objectives, balance=balance),
            (state.params, state.collections, dataclasses.replace(batch, inputs=inputs), own),
            parts=accumulate,
            across=across,
        )
    grads, loss, sums = across((grads, loss, sums))
    # After the sum over devices, with the key that they share: the same change on all.
    grads = balance.modulate(grads, sums, jax.random.fold_in(key, BALANCE_KEY))
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    new = dataclasses.replace(
        state,
        step=state.step + 1,
        params=params,
        collections=_over(axis, _averaged, collections),
        opt_state=opt_state,
        average=_averaged_over_steps(state, params, ema),
    )
    if not guard:
        return new, sums
    which = finite.first(loss, grads)
    sums[finite.NAME] = WeightedMean(which.astype(jnp.float32), jnp.ones(()))
    return finite.kept(which == 0, new, state), sums


def _averaged_over_steps(state: TrainState, params: Any, ema: float) -> Any:
    """The exponential moving average: of fewer steps at first, when there have been few."""
    if state.average is None:
        return None
    steps = state.step.astype(jnp.float32)
    decay = jnp.minimum(ema, (1 + steps) / (10 + steps))
    return jax.tree.map(
        lambda mean, x: mean + (1 - decay).astype(x.dtype) * (x - mean), state.average, params
    )


def eval_step(
    variables: Mapping[str, Any],
    batch: Batch,
    *,
    model: nn.Module,
    objectives: Mapping[str, Any],
) -> tuple[dict[str, WeightedMean], dict[str, Array]]:
    """The sums over these examples, and their outputs one by one."""
    outputs = cast(dict[str, Array], model.apply(variables, batch.inputs, train=False))
    return measure(objectives, outputs, batch), outputs
