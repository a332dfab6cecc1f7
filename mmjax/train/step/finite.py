"""Steps whose loss, gradient or update is NaN or infinite.

A step whose loss or gradient is not finite leaves the state unchanged. The host reads which value
was not finite. An update that overflows despite a finite gradient is found before it is saved.
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

# In the means of a step: its total is 0, or 1 + the position in `names`.
NAME = MetricName("step", "nonfinite")

FEW = 2**22  # numbers; above, joining gradients into one array costs more than it saves

_REMEDY = (
    "Nothing was saved since the last checkpoint, which is good. Lower --optim.peak-lr, or set "
    "--optim.clip-norm"
)


class NonFiniteError(UserError):
    """A loss, a gradient or an update is NaN or infinite."""


def names(params: Any) -> list[str]:
    """The names of the values that a step checks, in order."""
    return [f"the gradient of {path}" for path, _ in _floats(params)] + ["the loss"]


def first(loss: Array, grads: Any) -> Int[Array, ""]:
    """0 where all values are finite; else 1 + the position of the first of `names` that is not."""
    leaves = [*(leaf for _, leaf in _floats(grads)), loss]
    # A GPU starts a kernel or two for each maximum. For the tutorial's network 4 are enough where
    # all numbers are one array (17 before), for ViT-B 17 where gradients of one shape share theirs
    # (392); counts, compiled for an H200. TPUs and CPUs are slower so.
    shared = _as_one if sum(x.size for x in leaves) <= FEW else _by_shape
    bad = ~jax.lax.platform_dependent(leaves, cuda=shared, default=_one_by_one)
    return jnp.where(jnp.any(bad), 1 + jnp.argmax(bad), 0).astype(jnp.int32)


def _one_by_one(leaves: Sequence[Array]) -> Bool[Array, "leaf"]:
    """Whether each array is finite."""
    return jnp.stack([jnp.isfinite(_largest(jnp.abs(x), range(x.ndim))) for x in leaves])


def _by_shape(leaves: Sequence[Array]) -> Bool[Array, "leaf"]:
    """Whether each array is finite, with one maximum for all arrays of a shape."""
    alike: dict[Any, list[int]] = {}
    for place, x in enumerate(leaves):
        alike.setdefault((x.shape, x.dtype), []).append(place)
    found = []
    for places in alike.values():
        x = jnp.stack([leaves[place] for place in places])
        found.append(jnp.isfinite(_largest(jnp.abs(x), range(1, x.ndim))))
    return jnp.concatenate(found)[np.argsort([p for places in alike.values() for p in places])]


def _as_one(leaves: Sequence[Array]) -> Bool[Array, "leaf"]:
    """False at the first array that is not finite, else true; one minimum over all numbers."""
    good = jnp.concatenate([jnp.ravel(jnp.isfinite(leaf)) for leaf in leaves])
    first = jnp.min(jnp.where(good, good.size, jnp.arange(good.size, dtype=jnp.int32)))
    ends = np.cumsum([leaf.size for leaf in leaves], dtype=np.int32)
    return jnp.arange(len(leaves)) != jnp.sum(first >= ends)


def _largest(x: Array, axes: Sequence[int]) -> Array:
    """The maximum over axes, 0 where they are empty.

    NaN and infinity pass through a maximum, which takes CPUs half as long as `all(isfinite)`, and a
    TPU's compiler joins it with what makes the gradient. `jnp.max(x, initial=0)` would compare with
    0 once more, which is a kernel of its own on a GPU.
    """
    return jax.lax.reduce(x, jnp.zeros((), x.dtype), jax.lax.max, tuple(axes))


def _floats(tree: Any) -> list[tuple[str, Any]]:
    return [
        (path_of(path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]


def kept(good: Bool[Array, ""], new: Any, old: Any) -> Any:
    """The new state if `good`, else the old one with the new step number."""
    chosen = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)
    return chosen.replace(step=new.step)


def require(step: int, parts: Mapping[str, Any]) -> None:
    """NonFiniteError, naming the array, if a state to be saved is not finite."""
    for path, leaf in _floats(parts):
        if not np.all(np.isfinite(np.asarray(leaf))):
            raise NonFiniteError(f"step {step}: {path} is NaN or infinite. {_REMEDY}")


class Watch:
    """Reads on the host which values of a step were not finite.

    Policies: `stop` ends the training at once, `skip` after more than `limit` steps in a row,
    `ignore` never.
    """

    def __init__(self, policy: str, limit: int, names: Sequence[str], in_a_row: int = 0) -> None:
        self._policy = policy
        self._limit = limit
        self._names = names
        self.in_a_row = in_a_row

    def read(self, step: int, mean: WeightedMean | None, ids: Any) -> bool:
        """Whether the step made its update. `ids`: the examples of its batch.

        Raises:
            NonFiniteError: it did not, and the policy ends the training.
        """
        which = 0 if mean is None else int(np.asarray(mean.total))
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
