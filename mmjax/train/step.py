"""One step of training and one of evaluation: pure functions, as seen by one device."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from mmjax.balance import JOINT, Balance
from mmjax.layers.auxiliary import COLLECTION
from mmjax.layers.global_sum import summing
from mmjax.layers.masking import clear
from mmjax.model import PRESENT
from mmjax.train import finite
from mmjax.train.state import TrainState
from mmjax.types import Batch, Input, Sums

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


def measure(
    objectives: Mapping[str, Any], outputs: Mapping[str, Array], batch: Batch
) -> dict[str, Sums]:
    """The sums of every objective, as `<objective>/<quantity>`.

    Those of a head that reads one modality alone are `<objective>/<modality>/<quantity>`.
    """
    found = {}
    for output, name in _read_by(objectives, outputs).items():
        read, seen = outputs, batch
        if output != name:
            # A modality alone answers for the examples that have it.
            present = outputs[f"{PRESENT}/{output.rpartition('/')[2]}"]
            read = {**outputs, name: outputs[output]}
            seen = dataclasses.replace(batch, weight=batch.weight * present)
        for quantity, sums in objectives[name](name, read, seen).items():
            found[f"{output}/{quantity}"] = sums
    return found


def _read_by(objectives: Mapping[str, Any], outputs: Mapping[str, Array]) -> dict[str, str]:
    """{output: the objective that reads it}."""
    alone = {output: output.rpartition("/")[0] for output in outputs if "/" in output}
    return {name: name for name in objectives} | {
        output: name for output, name in alone.items() if name in objectives
    }


def auxiliary(recorded: Mapping[str, Any], batch: Batch) -> dict[str, Sums]:
    """The sums of the losses that modules have recorded, as `auxiliary/<module>/<name>`."""
    found = jax.tree_util.tree_leaves_with_path(recorded, is_leaf=lambda x: isinstance(x, tuple))
    return {
        # `where`: a filler's loss may be anything, infinite too.
        "/".join(["auxiliary", *(key.key for key in path)]): Sums(
            jnp.sum(batch.weight * jnp.where(batch.weight > 0, loss, jnp.zeros_like(loss))),
            jnp.sum(batch.weight * counts),
        )
        for path, (loss, counts) in found
    }


def _total(sums: Mapping[str, Sums], objectives: Mapping[str, Any], balance: Balance) -> Array:
    """What a step minimises, given totals of this device and counts of all."""
    total = jnp.zeros(())
    for path, found in sums.items():
        name, *modality = path.removesuffix("/loss").split("/")
        if name == "auxiliary":  # already weighted by who recorded it
            total += found.mean()
        elif path.endswith("/loss"):
            weight = balance.weight(modality[0] if modality else None)
            total += objectives[name].weight * weight * found.mean()
    return total


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
) -> tuple[TrainState, dict[str, Sums]]:
    """One update, and the sums that it was made from.

    With `guard` the state stays as it was where the loss or a gradient is NaN or infinite, and the
    sums say which (`finite.py`). `ema` is the decay of the parameters' average, in a state that
    keeps one.

    `axis=None`: `batch` is the global batch (plain jit, or jit over shardings). `axis="data"`: it
    is this device's share, and sums run over the named axis (pmap). Both give the same update.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    own = key if axis is None else jax.random.fold_in(key, jax.lax.axis_index(axis))

    # A filler is missing in every modality: no statistic that a module keeps may count it.
    inputs = {
        name: Input(given.values, clear(given.mask, batch.weight > 0))
        for name, given in batch.inputs.items()
    }

    def loss_of(params):
        outputs, collections = model.apply(
            {"params": params, **state.collections},
            inputs,
            train=True,
            rngs={"dropout": own},
            mutable=[*state.collections, COLLECTION],
        )
        collections = dict(collections)
        recorded = collections.pop(COLLECTION, {})
        sums = measure(objectives, outputs, batch) | auxiliary(recorded, batch)
        # A share of the global mean: this device's total over everybody's count.
        shares = {
            name: Sums(found.total, _over(axis, jax.lax.psum, found.count))
            for name, found in sums.items()
        }
        total = _total(shares, objectives, balance)
        return total, (total, sums, collections)

    with summing(lambda tree: _over(axis, jax.lax.psum, tree)):
        grads, (loss, sums, collections) = jax.grad(loss_of, has_aux=True)(state.params)
    grads, loss, sums = _over(axis, jax.lax.psum, (grads, loss, sums))
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
    sums[finite.NAME] = Sums(which.astype(jnp.float32), jnp.ones(()))
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
) -> tuple[dict[str, Sums], dict[str, Array]]:
    """The sums over these examples, and their outputs one by one."""
    outputs = cast(dict[str, Array], model.apply(variables, batch.inputs, train=False))
    return measure(objectives, outputs, batch), outputs
