"""Names of the arrays in a tree."""

from typing import Any

import jax


def path_of(path: tuple[Any, ...]) -> str:
    """The path of an array in a tree, such as `encoders_image/conv/kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")
