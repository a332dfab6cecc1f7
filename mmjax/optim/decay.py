"""Which parameters weight decay acts on, by the last part of their path."""

import fnmatch

import jax
import numpy as np
import optax

from mmjax.layers.tracing.paths import path_of

# Kernels and embeddings.
DECAYED = ("*kernel", "kernel_*", "factor_*", "*embedding")
# Biases, scales, positions and learned tokens.
KEPT = ("*bias", "scale", "weight_*")
KEPT += ("table", "position", "column")
KEPT += ("class", "cls", "bottleneck", "latents", "seeds", "inducing_*", "*nothing", "stand_in_*")
KEPT += ("query", "queries", "prototypes")


def groups(name: str) -> list[str]:
    """The groups whose patterns match a name: `decayed`, `kept`, or neither."""
    both = {"decayed": DECAYED, "kept": KEPT}
    return [group for group, ps in both.items() if any(fnmatch.fnmatchcase(name, p) for p in ps)]


def decayed(params: optax.Params) -> optax.Params:
    """True for kernels and embeddings, False for biases, norms and learned tokens.

    Unknown names, as in your own modules: True for arrays with two axes or more.
    """

    def is_weight(path: tuple, parameter: jax.Array) -> bool:
        matching = groups(path_of(path).rpartition("/")[2])
        return matching == ["decayed"] if matching else np.ndim(parameter) >= 2

    return jax.tree_util.tree_map_with_path(is_weight, params)
