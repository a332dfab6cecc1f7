"""The building blocks of the contract checks."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.types import Tokens

TOLERANCE = 1e-5


def init(module: nn.Module, *inputs: Any) -> dict[str, Any]:
    """The variables of a module.

    AssertionError for norms whose variance is a difference of squares, which is inexact for values
    with a large mean.
    """
    fast: list[str] = []

    def watch(method: Any, args: tuple, kwargs: dict, context: Any) -> Any:
        norm = context.module
        if isinstance(norm, nn.LayerNorm | nn.GroupNorm) and norm.use_fast_variance:
            fast.append("/".join(norm.path))
        return method(*args, **kwargs)

    with nn.intercept_methods(watch):
        start = jax.jit(functools.partial(module.init, train=False))
        variables = start(jax.random.key(0), *inputs)
    require(not fast, f"use_fast_variance=False: {fast} are off beside a large mean")
    return dict(variables)


def scalar(output: Any) -> jax.Array:
    """A nonlinear sum of all visible values, each with its own weight."""
    total = jnp.zeros(())
    if isinstance(output, Tokens):
        output = jnp.where(output.mask[:, :, None], output.values, 0.0)
    for leaf in jax.tree.leaves(output):
        weights = jax.random.normal(jax.random.key(3), leaf.shape)
        total += jnp.sum(weights * (leaf + leaf**2))
    return total


def like(mask: Any, ndim: int) -> Any:
    """The mask with trailing axes of length 1, `ndim` axes in all."""
    return np.reshape(np.asarray(mask), np.shape(mask) + (1,) * (ndim - np.ndim(mask)))


def any_nonzero(tree: Any) -> bool:
    """Whether a tree has a number that is not zero."""
    return any(np.any(leaf) for leaf in jax.tree.leaves(tree))


def require(condition: bool, otherwise: str) -> None:
    """AssertionError with the text `otherwise`, unless the condition holds."""
    if not condition:
        raise AssertionError(otherwise)


def require_finite(tree: Any) -> None:
    """AssertionError if a number of a tree is NaN or infinite."""
    require(all(np.all(np.isfinite(x)) for x in jax.tree.leaves(tree)), "NaN or infinity")


def require_alive(gradients: Any) -> None:
    """AssertionError that names the parameters whose gradient is zero."""
    dead = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not np.any(leaf)
    ]
    require(not dead, f"the gradient of these parameters is zero: {dead}")


def require_equal(left: Any, right: Any, otherwise: str) -> None:
    """AssertionError if two trees differ in a bit."""
    same = all(
        np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (left, right)), strict=True)
    )
    require(same, otherwise)


def require_close(left: Any, right: Any, otherwise: str) -> None:
    """AssertionError if two arrays differ by more than rounding."""
    close = np.allclose(left, right, rtol=1e-5, atol=TOLERANCE)
    require(close, f"{otherwise}: by {np.max(np.abs(np.asarray(left) - np.asarray(right)))}")
