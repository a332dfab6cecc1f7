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


def recurrent(
    arrays: Arrays, name: str, *, cell: str = "lstm", layers: int = 1, bidirectional: bool = False
) -> dict[str, dict[str, np.ndarray]]:
    """Gates stand in one order, PyTorch's; of its two biases ours is the sum.

    Not in a GRU's candidate state: what is inside the reset gate's product stands alone.
    """
    directions = {"forward": "", "backward": "_reverse"} if bidirectional else {"forward": ""}
    found = {}
    for layer in range(layers):
        for direction, ending in directions.items():
            end = f"l{layer}{ending}"
            bias, state = arrays[f"{name}.bias_ih_{end}"], arrays[f"{name}.bias_hh_{end}"]
            found[f"layer_{layer}_{direction}"] = {
                "input_kernel": arrays[f"{name}.weight_ih_{end}"].T,
                "recurrent_kernel": arrays[f"{name}.weight_hh_{end}"].T,
                "bias": bias + state,
            }
            if cell == "gru":
                alone = np.arange(len(bias)) >= len(bias) * 2 // 3
                found[f"layer_{layer}_{direction}"] |= {
                    "bias": bias + np.where(alone, 0, state),
                    "candidate_bias": state[alone],
                }
    return found


def one_bias(gradients: Arrays, cell: str = "lstm") -> dict[str, np.ndarray]:
    """Gradients in which the two biases that ours is the sum of add up to its gradient."""

    def once(gradient: np.ndarray) -> np.ndarray:
        alone = (cell == "gru") & (np.arange(len(gradient)) >= len(gradient) * 2 // 3)
        return np.where(alone, gradient, 0)

    return {name: once(g) if ".bias_hh_" in name else g for name, g in gradients.items()}


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
            "embedding": {"embedding": arrays["embedding.weight"]},
            "lstm": recurrent(arrays, "lstm"),
        },
        "heads_match": {
            "Mlp_0": {"Dense_0": linear(arrays, "hidden"), "Dense_1": linear(arrays, "logit")}
        },
    }
