"""What the parity tests of image networks share on PyTorch's side."""

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

BATCH = 6


def image(size: tuple[int, int], seed: int, channels: int = 3) -> np.ndarray:
    """`[batch, height, width, channel]`, of 256 values in [-2, 2): small when compressed."""
    shape = (BATCH, *size, channels)
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.float32) / 64


def randomise(network: nn.Module, seed: int) -> None:
    """New values for every tensor: default ones are too regular (ones, zeros) to show an error."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            shape = tuple(tensor.shape)
            if name.endswith("running_var"):
                values = random.uniform(0.5, 2, shape)
            elif name.endswith("num_batches_tracked"):
                continue
            elif len(shape) > 1:
                values = np.sqrt(1.5 / np.prod(shape[1:])) * random.standard_normal(shape)
            else:  # biases, means, and the scales of norms
                values = 0.3 * random.standard_normal(shape)
                values += 1.0 if name in scales(network) else 0.0
            tensor.copy_(torch.from_numpy(np.asarray(values, np.float32)))


def scales(network: nn.Module) -> set[str]:
    """The names of what multiplies in the norms."""
    norms = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
    return {f"{name}.weight" for name, part in network.named_modules() if isinstance(part, norms)}


def weights(network: nn.Module, folder: str) -> dict[str, np.ndarray]:
    """All tensors by their published names, under `folder`."""
    return {f"{folder}{name}": x.numpy().copy() for name, x in network.state_dict().items()}


def tokens(features) -> np.ndarray:
    """`[batch, channel, height, width]` -> `[batch, token, channel]`."""
    return features.detach().flatten(2).permute(0, 2, 1).numpy()


def reference(network: nn.Module, size: tuple[int, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Images, the network's `weight/...`, its tokens in evaluation and in a training step.

    `after/...` are all tensors after that step, in which only running statistics change.
    """
    randomise(network, seed)
    found = {"image": image(size, seed), **weights(network, "weight/")}
    x = torch.from_numpy(found["image"]).permute(0, 3, 1, 2)
    found["eval"] = tokens(network.eval()(x))
    found["train"] = tokens(network.train()(x))
    after = weights(network, "after/")
    return found | {name: x for name, x in after.items() if "running_" in name}
