"""PyTorch's arrays, by their names, as the parameters of our modules."""

from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]


def linear(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    """[out, in] -> [in, out]; with the bias where there is one."""
    found = {"kernel": arrays[f"{name}.weight"].T}
    return found | ({"bias": arrays[f"{name}.bias"]} if f"{name}.bias" in arrays else {})


def conv(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    """[out, in, height, width] -> [height, width, in, out]."""
    found = {"kernel": np.transpose(arrays[f"{name}.weight"], (2, 3, 1, 0))}
    return found | ({"bias": arrays[f"{name}.bias"]} if f"{name}.bias" in arrays else {})


def norm(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    """Of layers or of batches."""
    return {"scale": arrays[f"{name}.weight"], "bias": arrays[f"{name}.bias"]}


def flattened_linear(arrays: Arrays, name: str, height: int, width: int) -> dict[str, np.ndarray]:
    """A linear layer on a flattened image: channel, height, width -> height, width, channel."""
    weight = arrays[f"{name}.weight"]
    kernel = np.reshape(weight, (len(weight), -1, height, width))
    kernel = np.reshape(np.transpose(kernel, (2, 3, 1, 0)), (-1, len(weight)))
    return {"kernel": kernel, "bias": arrays[f"{name}.bias"]}


def lstm(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    """Of one layer. The gates stand in the same order; of PyTorch's two biases ours is the sum."""
    return {
        "input_kernel": arrays[f"{name}.weight_ih_l0"].T,
        "recurrent_kernel": arrays[f"{name}.weight_hh_l0"].T,
        "bias": arrays[f"{name}.bias_ih_l0"] + arrays[f"{name}.bias_hh_l0"],
    }
