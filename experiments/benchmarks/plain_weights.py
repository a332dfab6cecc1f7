"""The parameters of ours under the names and in the shapes of `plain.py`."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

Tree = Mapping[str, Any]
# Modules of ours that plain flax has not: their parts are its own.
_INSIDE = (
    *("streams", "join", "Mlp_0", "heads_match", "out"),
    *("lstm", "gru", "layer_0_forward"),
)


def renamed(ours: Tree, like: Tree) -> dict[str, Any]:
    """`ours` as the tree that plain flax calls `like` (arrays or shapes); zeros for biases that
    ours has not."""
    found = {}
    for name, expected in like.items():
        if name == "attention":
            found[name] = renamed(ours, expected)  # a block of ours has its layers directly
        elif name == "cell":
            found[name] = _cell(_found(ours, "layer_0_forward"), expected)
        elif isinstance(expected, Mapping):
            found[name] = renamed(_found(ours, name), expected)
        elif name == "bias" and name not in ours:
            found[name] = jnp.zeros(expected.shape, expected.dtype)
        else:
            array = _found(ours, {"var": "variance"}.get(name, name))
            array = array["table"] if name == "position" and isinstance(array, Mapping) else array
            found[name] = jnp.reshape(array, expected.shape)
    return found


def _found(ours: Tree, name: str) -> Any:
    if name in ours:
        return ours[name]
    for wrapper in _INSIDE:
        if wrapper in ours:
            try:
                return _found(ours[wrapper], name)
            except KeyError:
                continue
    raise KeyError(f"{name}: ours has {', '.join(ours)}")


def _cell(layer: Tree, like: Tree) -> dict[str, Any]:
    """The gates apart. Flax's LSTM adds the bias to the state's product, its GRU to the input's."""
    gates, biased = ("ifgo", "h") if "hf" in like else ("rzn", "i")
    found: dict[str, Any] = {}
    for place, gate in enumerate(gates):
        for source, kernel in (("i", "input_kernel"), ("h", "recurrent_kernel")):
            found[source + gate] = {"kernel": jnp.split(layer[kernel], len(gates), axis=1)[place]}
        found[biased + gate]["bias"] = jnp.split(layer["bias"], len(gates))[place]
    if "candidate_bias" in layer:
        found["hn"]["bias"] = layer["candidate_bias"]
    return found
