"""The contracts of an objective."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.objectives import Objective
from mmjax.testing import checks
from mmjax.testing.samples import garbage
from mmjax.types import Batch, Masked, Outputs


def check_objective(objective: Objective, output: Any, target: Masked) -> None:
    """Check an objective: missing targets and rows of weight 0 must count for nothing.

    Args:
        output: `[batch, ...]`, the output of the head, or a dict of such arrays
        target: present in some examples and missing in others

    Raises:
        AssertionError: the objective breaks a contract; says which.
    """
    output, mask = jax.tree.map(jnp.asarray, output), jnp.asarray(target.mask)
    weight = jnp.ones(len(mask)).at[1].set(0.0)
    ids = jnp.arange(len(mask))

    def loss(output, values):
        targets = {objective.target or "": Masked(values, mask)}
        batch = Batch({}, targets, weight, ids)
        means = objective(Outputs({objective.output: output}), batch)
        return means["loss"].mean(), means

    measure = jax.jit(jax.grad(loss, has_aux=True, allow_int=True))
    values = jnp.asarray(target.values)
    original = measure(output, values)
    checks.require_finite((_floats(original[0]), original[1]))
    hidden = ~np.asarray(mask) | (np.asarray(weight) == 0).reshape(-1, *[1] * (mask.ndim - 1))

    def lost(x: Any) -> np.ndarray:
        return np.broadcast_to(checks.like(hidden, x.ndim), x.shape)

    gradients = _floats(original[0])
    checks.require(
        not any(np.any(x[lost(x)]) for x in gradients),
        "an output without a target receives a gradient",
    )
    checks.require(all(np.any(x[~lost(x)]) for x in gradients), "the loss has no gradient")
    checks.require(int(np.sum(~hidden)) > 0, "every target of the check is missing")
    others = [garbage(values, ~hidden)]
    if jnp.issubdtype(values.dtype, jnp.floating):
        others.append(jnp.where(checks.like(~hidden, values.ndim), values, jnp.nan))
    for other in others:
        checks.require_equal(measure(output, other), original, "a missing target affects the loss")
    nan = jax.tree.map(lambda x: jnp.where(lost(x), jnp.nan, x) if _is_float(x) else x, output)
    checks.require_equal(
        measure(nan, values), original, "an output without a target affects the loss"
    )


def _is_float(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def _floats(tree: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in jax.tree.leaves(tree) if _is_float(x)]
