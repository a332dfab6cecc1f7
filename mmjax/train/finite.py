"""What happens when a loss, a gradient or an update is NaN or infinite.

The step keeps the state that it was given, so nothing that is not finite ever enters it: not the
parameters, not the optimiser's moments, not running statistics. The host reads which it was.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from mmjax.types import Sums

NAME = "nonfinite"  # among a step's sums: its total is 1 + the position in `parts`, or 0


def parts(grads: Any, state: Any) -> list[tuple[str, Any]]:
    """(name, array) of all that a step looks at, in the order in which it names the first."""
    trees = {
        "the gradient of": grads,
        "the updated parameter": state.params,
        "the optimiser's state": state.opt_state,
        "the collection": state.collections,
    }
    return [
        (f"{kind} {jax.tree_util.keystr(path, simple=True, separator='/')}", leaf)
        for kind, tree in trees.items()
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]


def first(loss: Array, grads: Any, state: Any) -> Int[Array, ""]:
    """0 where all is finite; else 1 + the position of the first of `parts` that is not.

    One more than their number: the loss alone.
    """
    finite = [jnp.all(jnp.isfinite(leaf)) for _, leaf in parts(grads, state)]
    bad = ~jnp.stack([*finite, jnp.isfinite(loss)])
    return jnp.where(jnp.any(bad), 1 + jnp.argmax(bad), 0).astype(jnp.int32)


def kept(good: Bool[Array, ""], new: Any, old: Any) -> Any:
    """The new state where it is good, else the old one, a step further."""
    chosen = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)
    return chosen.replace(step=new.step)


class NonFiniteError(ValueError):
    """A loss, a gradient or an update was NaN or infinite."""


class Watch:
    """On the host: reads what the steps found, and ends the training or counts.

    `stop` ends it at the first such step, `skip` after more than `limit` in a row, `ignore` never.
    """

    def __init__(self, policy: str, limit: int, names: Sequence[str], in_a_row: int = 0) -> None:
        self._policy = policy
        self._limit = limit
        self._names = names
        self.in_a_row = in_a_row

    def read(self, step: int, found: Sums | None, ids: Any) -> bool:
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
            named = [*self._names, "the loss"][which - 1]
            row = f", {self.in_a_row} times in a row" if self._policy == "skip" else ""
            raise NonFiniteError(
                f"step {step}: {named} is NaN or infinite{row}; the batch's examples were "
                f"{np.asarray(ids).tolist()}. Nothing was saved since the last checkpoint, which "
                "is good. Lower --optim.peak-lr, set --optim.clip-norm, look at these examples, or "
                "leave such updates out with --on-nonfinite skip"
            )
        return False
