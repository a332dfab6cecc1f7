"""Which parameters weight decay acts on, told by the last part of their path."""

import fnmatch

import jax
import numpy as np
import optax

from mmjax.layers.tracing.paths import path_of

# What multiplies the values that flow through: pulled towards 0, a layer does less.
DECAYED = ("*kernel", "kernel_*", "factor_*", "*embedding")
# What is added to the values, rescales them, or stands for a value itself.
KEPT = ("*bias", "scale", "weight_*")
KEPT += ("table", "position", "column")  # where a token stands
KEPT += ("class", "cls", "bottleneck", "latents", "seeds", "inducing_*", "nothing", "stand_in_*")
KEPT += ("query", "queries", "prototypes")


def groups(name: str) -> list[str]:
    """`decayed`, `kept`, or neither: what is said of parameters with this name."""
    both = {"decayed": DECAYED, "kept": KEPT}
    return [
        group
        for group, patterns in both.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    ]


def decayed(params: optax.Params) -> optax.Params:
    """True for kernels and embeddings, False for biases, norms and learned tokens.

    A name that nothing is said of, as in a module of your own, decays if it has two axes or more.
    """

    def is_weight(path: tuple, parameter: jax.Array) -> bool:
        found = groups(path_of(path).rpartition("/")[2])
        return found == ["decayed"] if found else np.ndim(parameter) >= 2

    return jax.tree_util.tree_map_with_path(is_weight, params)
