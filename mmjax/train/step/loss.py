"""The losses of a step: the weighted means of objectives, and what modules add."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mmjax.balance import Balance
from mmjax.objectives import Objective
from mmjax.types import Batch, MetricName, Outputs, WeightedMean

AUXILIARY = "auxiliary"  # the source of losses that modules add


def measure(
    objectives: Mapping[str, Objective], outputs: Outputs, batch: Batch
) -> dict[MetricName, WeightedMean]:
    """The quantities of every objective, for the joint output and for each modality alone."""
    means = {}
    for name, objective in objectives.items():
        for quantity, mean in objective(outputs, batch).items():
            means[MetricName(name, quantity)] = mean
        for modality, value in outputs.unimodal.get(objective.output, {}).items():
            alone = Outputs({objective.output: value})
            # Only examples that have the modality count.
            present = outputs.present[modality].astype(jnp.float32)
            seen = dataclasses.replace(batch, weight=batch.weight * present)
            for quantity, mean in objective(alone, seen).items():
                means[MetricName(name, quantity, modality)] = mean
    return means


def auxiliary(recorded: Mapping[str, Any], batch: Batch) -> dict[MetricName, WeightedMean]:
    """The losses that modules have recorded (`layers/tracing/auxiliary.py`)."""
    leaves = jax.tree_util.tree_leaves_with_path(recorded, is_leaf=lambda x: isinstance(x, tuple))
    means = {}
    for path, (loss, counts) in leaves:
        *module, name = (key.key for key in path)
        # `where`: the loss of a padding example may be infinite.
        kept = jnp.where(batch.weight > 0, loss, jnp.zeros_like(loss))
        means[MetricName(AUXILIARY, name, "/".join(module))] = WeightedMean(
            jnp.sum(batch.weight * kept), jnp.sum(batch.weight * counts)
        )
    return means


def task_losses(
    means: Mapping[MetricName, WeightedMean],
    objectives: Mapping[str, Objective],
    balance: Balance,
    step: Array,
) -> Float[Array, "loss"]:
    """The loss of each objective at step `step`, in alphabetical order; last what modules add.

    From the totals of this device and the counts of all devices.
    """
    losses = {name: jnp.zeros(()) for name in (*sorted(objectives), AUXILIARY)}
    for name, mean in means.items():
        if name.source == AUXILIARY:  # already weighted by the module that recorded it
            losses[AUXILIARY] += mean.mean()
        elif name.quantity == "loss":
            weight = balance.weight(name.part or None)
            losses[name.source] += objectives[name.source].weight_at(step) * weight * mean.mean()
    return jnp.stack([*losses.values()])
