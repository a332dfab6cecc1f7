"""What happens when a loss, a gradient or an update is NaN or infinite.

A step whose loss or gradient is not finite keeps the state that it was given: nothing of it enters
the parameters, the optimiser's moments or running statistics. The host reads which it was. An
update that overflows although its gradient is finite is found before it is saved.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from mmjax.errors import UserError
from mmjax.layers.tracing.paths import path_of
from mmjax.types import MetricName, WeightedMean

# Among what a step reports: the total is 1 + the position in `names`, or 0.
NAME = MetricName("step", "nonfinite")


def names(params: Any) -> list[str]:
    """What a step looks at, in the order in which it names the first."""
    return [f"the gradient of {path}" for path, _ in _floats(params)] + ["the loss"]


def first(loss: Array, grads: Any) -> Int[Array, ""]:
    """0 where all is finite; else 1 + the position of the first of `names` that is not.

    Reads each gradient once more, and nothing else: the costlier look is at what is saved.
    """
    finite = [jnp.all(jnp.isfinite(leaf)) for _, leaf in _floats(grads)]
    bad = ~jnp.stack([*finite, jnp.isfinite(loss)])
    return jnp.where(jnp.any(bad), 1 + jnp.argmax(bad), 0).astype(jnp.int32)


def _floats(tree: Any) -> list[tuple[str, Any]]:
    return [
        (path_of(path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]


def kept(good: Bool[Array, ""], new: Any, old: Any) -> Any:
    """The new state where it is good, else the old one, a step further."""
    chosen = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)
    return chosen.replace(step=new.step)


_REMEDY = (
    "Nothing was saved since the last checkpoint, which is good. Lower --optim.peak-lr, or set "
    "--optim.clip-norm"
)


class NonFiniteError(UserError):
    """A loss, a gradient or an update was NaN or infinite."""


def require(step: int, parts: Mapping[str, Any]) -> None:
    """Of what is about to be saved.

    Raises:
        NonFiniteError: an array is not finite; names it.
    """
    for path, leaf in _floats(parts):
        if not np.all(np.isfinite(np.asarray(leaf))):
            raise NonFiniteError(f"step {step}: {path} is NaN or infinite. {_REMEDY}")


class Watch:
    """On the host: reads what the steps found, and ends the training or counts.

    `stop` ends it at the first such step, `skip` after more than `limit` in a row, `ignore` never.
    """

    def __init__(self, policy: str, limit: int, names: Sequence[str], in_a_row: int = 0) -> None:
        self._policy = policy
        self._limit = limit
        self._names = names
        self.in_a_row = in_a_row

    def read(self, step: int, found: WeightedMean | None, ids: Any) -> bool:
        """Whether the step's update was made. `ids`: of the examples of its batch.

        Raises:
            NonFiniteError: it was not, and the policy says to end here.
        """
        which = 0 if found is None else int(np.asarray(found.total))
        if not which:
            self.in_a_row = 0
            return True
        self.in_a_row += 1
        if self._policy == "stop" or self.in_a_row > self._limit:
            named = self._names[which - 1]
            row = f", {self.in_a_row} times in a row" if self._policy == "skip" else ""
            raise NonFiniteError(
                f"step {step}: {named} is NaN or infinite{row}; the batch's examples were "
                f"{np.asarray(ids).tolist()}. {_REMEDY}, look at these examples"
                + (", or leave such updates out with --on-nonfinite skip" if not row else "")
            )
        return False
