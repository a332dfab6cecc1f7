"""PyTorch's arrays as the parameters of our modules; without PyTorch."""

from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]


def linear(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    return {"kernel": arrays[f"{name}.weight"].T, "bias": arrays[f"{name}.bias"]}


def conv(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    kernel = np.transpose(arrays[f"{name}.weight"], (2, 3, 1, 0))  # OIHW -> HWIO
    return {"kernel": kernel, "bias": arrays[f"{name}.bias"]}


def flattened_linear(arrays: Arrays, name: str, height: int, width: int) -> dict[str, np.ndarray]:
    """A linear layer on a flattened image: channel, height, width -> height, width, channel."""
    weight = arrays[f"{name}.weight"]
    kernel = np.reshape(weight, (len(weight), -1, height, width))
    kernel = np.reshape(np.transpose(kernel, (2, 3, 1, 0)), (-1, len(weight)))
    return {"kernel": kernel, "bias": arrays[f"{name}.bias"]}


def lstm(
    arrays: Arrays, name: str, *, layers: int = 1, bidirectional: bool = False
) -> dict[str, dict[str, np.ndarray]]:
    """Gates stand in one order, i, f, g, o; of PyTorch's two biases ours is the sum."""
    directions = {"forward": "", "backward": "_reverse"} if bidirectional else {"forward": ""}
    return {
        f"layer_{layer}_{direction}": {
            "input_kernel": arrays[f"{name}.weight_ih_l{layer}{suffix}"].T,
            "recurrent_kernel": arrays[f"{name}.weight_hh_l{layer}{suffix}"].T,
            "bias": arrays[f"{name}.bias_ih_l{layer}{suffix}"]
            + arrays[f"{name}.bias_hh_l{layer}{suffix}"],
        }
        for layer in range(layers)
        for direction, suffix in directions.items()
    }


def one_bias(gradients: Arrays) -> dict[str, np.ndarray]:
    """Gradients in which an LSTM's two biases add up to the gradient of ours, equal to either."""
    zeroed = {name: np.zeros_like(g) for name, g in gradients.items() if ".bias_hh_" in name}
    return {**gradients, **zeroed}


def tutorial(arrays: Arrays, image: tuple[int, int, int]) -> dict[str, dict]:
    """The parameters of `Multimodal` for the arrays of `Tutorial`, by PyTorch's names."""
    height, width, _ = image
    return {
        "encoders_image": {
            "Conv_0": conv(arrays, "conv1"),
            "Conv_1": conv(arrays, "conv2"),
            "projection": flattened_linear(arrays, "project", height // 2, width // 2),
        },
        "encoders_text": {
            "Embed_0": {"embedding": arrays["embedding.weight"]},
            **lstm(arrays, "lstm"),
        },
        "heads_match": {
            "Mlp_0": {"Dense_0": linear(arrays, "hidden"), "Dense_1": linear(arrays, "logit")}
        },
    }
