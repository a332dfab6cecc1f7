"""LoRA, low-rank adapters of kernels that stay as they are: Hu et al. 2022, arXiv:2106.09685.

kernel' = kernel + down up,  with down [inputs, rank] drawn at random and up [rank, outputs] zero at
first. A kernel of more than two axes is the matrix of all but its last axis by its last axis.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import PRNGKeyArray

DOWN, UP = "down_kernel", "up_kernel"


def adapters(key: PRNGKeyArray, params: Mapping[str, Any], rank: int) -> dict[str, Any]:
    """Fresh adapters of every kernel in `params`: a tree with {down, up} in the place of each.

    Their sum with the kernels is the kernels. `rank`: at least 1; it is reduced to the smaller side
    of a kernel.
    """
    found: dict[Any, Any] = {}
    flat: dict[Any, Any] = traverse_util.flatten_dict(params)
    for number, path in enumerate(sorted(filter(_adapts, flat))):
        kernel = flat[path]
        inputs, outputs = kernel.size // kernel.shape[-1], kernel.shape[-1]
        size = min(rank, inputs, outputs)
        drawn = jax.random.normal(jax.random.fold_in(key, number), (inputs, size), kernel.dtype)
        found[*path, DOWN] = drawn / jnp.sqrt(jnp.asarray(inputs, kernel.dtype))
        found[*path, UP] = jnp.zeros((size, outputs), kernel.dtype)
    return traverse_util.unflatten_dict(found)


def merged(params: Mapping[str, Any], adapters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with each kernel plus its adapter."""
    flat: dict[Any, Any] = traverse_util.flatten_dict(params)
    added: dict[Any, Any] = traverse_util.flatten_dict(adapters)
    for path in {path[:-1] for path in added}:
        change = added[*path, DOWN] @ added[*path, UP]
        flat[path] = flat[path] + jnp.reshape(change, flat[path].shape)
    return traverse_util.unflatten_dict(flat)


def _adapts(path: tuple[str, ...]) -> bool:
    return path[-1].endswith("kernel")
