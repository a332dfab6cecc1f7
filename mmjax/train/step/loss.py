"""What a step minimises: sums of objectives and of modules, divided by their counts and added."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.balance import Balance
from mmjax.models.multimodal import PRESENT
from mmjax.types import Batch, WeightedMean


def measure(
    objectives: Mapping[str, Any], outputs: Mapping[str, Array], batch: Batch
) -> dict[str, WeightedMean]:
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


def auxiliary(recorded: Mapping[str, Any], batch: Batch) -> dict[str, WeightedMean]:
    """The sums of the losses that modules have recorded, as `auxiliary/<module>/<name>`."""
    found = jax.tree_util.tree_leaves_with_path(recorded, is_leaf=lambda x: isinstance(x, tuple))
    return {
        # `where`: a filler's loss may be anything, infinite too.
        "/".join(["auxiliary", *(key.key for key in path)]): WeightedMean(
            jnp.sum(batch.weight * jnp.where(batch.weight > 0, loss, jnp.zeros_like(loss))),
            jnp.sum(batch.weight * counts),
        )
        for path, (loss, counts) in found
    }


def total_loss(
    sums: Mapping[str, WeightedMean], objectives: Mapping[str, Any], balance: Balance
) -> Array:
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
