"""One step of training and one of evaluation: pure functions, as seen by one device."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

from mmjax.balance import JOINT, Balance
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing import collectives
from mmjax.layers.tracing.auxiliary import COLLECTION
from mmjax.models.base import Model
from mmjax.models.train_state import TrainState
from mmjax.objectives import Objective
from mmjax.train.step import finite, gradient, private
from mmjax.train.step.loss import auxiliary, measure, task_losses
from mmjax.train.step.tasks import Tasks
from mmjax.types import Batch, Masked, MetricName, Outputs, WeightedMean

# No device has these indices.
BALANCE_KEY, TASK_KEY, NOISE_KEY = 2**31 - 1, 2**31 - 2, 2**31 - 3


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: Model,
    objectives: Mapping[str, Objective],
    tx: optax.GradientTransformation,
    axis: str | None,
    balance: Balance = JOINT,
    ema: float = 0.0,
    guard: bool = True,
    rule: gradient.Rule = gradient.whole,
    noise: private.Noise | None = None,
) -> tuple[TrainState, dict[MetricName, WeightedMean]]:
    """One update: the new state, and the means of the batch.

    Args:
        state: the state before the step
        batch: the global batch, or with `axis` this device's share
        model: the model
        objectives: by name
        tx: the optimiser
        axis: None with jit; with pmap the name of the axis over which devices sum. Both give the
            same update
        balance: weighs the losses of modalities and tasks, and changes gradients
        ema: decay of the average of the parameters, if the state has one
        guard: leave the state unchanged where the loss or a gradient is NaN or infinite; the means
            name it (`finite.py`)
        rule: how the gradient is computed (`gradient.py`, `private.py`)
        noise: of private training, added to the gradient of the whole batch
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    own = key if axis is None else jax.random.fold_in(key, jax.lax.axis_index(axis))
    forward = functools.partial(_forward, model, objectives)
    losses = functools.partial(task_losses, objectives=objectives, balance=balance, step=state.step)
    tasks = Tasks(balance, sorted(objectives), state.balance, jax.random.fold_in(key, TASK_KEY))
    with collectives.over(axis):
        given = (state.params, state.collections, _present(batch), own)
        result = rule(forward, lambda means: tasks.total(losses(means)), given, tasks.derivative)
        grads, loss, means = collectives.total((result.grads, result.loss, result.means))
    # After the sum over devices, with a key that all share: the same on every device.
    grads, carried = tasks.combined(grads, losses(means), means)
    grads = balance.modulate(grads, means, jax.random.fold_in(key, BALANCE_KEY))
    if noise is not None:
        grads = noise(grads, jax.random.fold_in(key, NOISE_KEY))
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    new = dataclasses.replace(
        state,
        step=state.step + 1,
        params=params,
        collections=result.collections if axis is None else _averaged(result.collections, axis),
        opt_state=opt_state,
        average=_averaged_over_steps(state, params, ema),
        balance=carried,
    )
    if not guard:
        return new, means
    which = finite.first(jnp.sum(loss), grads)
    means[finite.NAME] = WeightedMean(which.astype(jnp.float32), jnp.ones(()))
    return finite.kept(which == 0, new, state), means


def eval_step(
    variables: Mapping[str, Any],
    batch: Batch,
    *,
    model: Model,
    objectives: Mapping[str, Objective],
) -> tuple[dict[MetricName, WeightedMean], dict[str, dict[str, Array]]]:
    """The means over a batch, and what each objective records of every example."""
    outputs = model.apply(variables, batch.inputs, train=False, targets=batch.targets)
    outputs = cast(Outputs, outputs)
    records = {name: o.record(outputs, batch) for name, o in objectives.items()}
    return measure(objectives, outputs, batch), records


def _present(batch: Batch) -> Batch:
    """The batch with padding examples masked in every modality: they enter no statistic."""
    inputs = {
        name: Masked(given.values, clear(given.mask, batch.weight > 0))
        for name, given in batch.inputs.items()
    }
    return dataclasses.replace(batch, inputs=inputs)


def _forward(
    model: Model,
    objectives: Mapping[str, Objective],
    params: Any,
    collections: Mapping[str, Any],
    batch: Batch,
    key: Array,
) -> tuple[dict[MetricName, WeightedMean], dict[str, Any]]:
    outputs, changed = model.apply(
        {"params": collectives.whole(params), **collections},
        batch.inputs,
        train=True,
        targets=batch.targets,
        rngs={"dropout": key},
        mutable=[*collections, COLLECTION],
    )
    changed = dict(changed)
    recorded = changed.pop(COLLECTION, {})
    means = measure(objectives, cast(Outputs, outputs), batch) | auxiliary(recorded, batch)
    return means, changed


def _averaged(collections: Any, axis: str) -> Any:
    """The mean of statistics over devices; integer counters are equal on all devices."""
    return jax.tree.map(
        lambda x: (jax.lax.pmean if jnp.issubdtype(x.dtype, jnp.floating) else jax.lax.pmax)(
            x, axis
        ),
        collections,
    )


def _averaged_over_steps(state: TrainState, params: Any, ema: float) -> Any:
    """The exponential moving average of the parameters, with a lower decay in the first steps."""
    if state.average is None:
        return None
    steps = state.step.astype(jnp.float32)
    decay = jnp.minimum(ema, (1 + steps) / (10 + steps))
    return jax.tree.map(
        lambda mean, x: mean + (1 - decay).astype(x.dtype) * (x - mean), state.average, params
    )
