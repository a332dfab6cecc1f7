"""torchvision's VGG, its tensors and its layers in plain torch, without the classifier.

`python -m tests.parity.vgg` writes vgg.npz: a small one, so that the comparison can be made where
PyTorch is not installed.
"""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn  # pyright: ignore[reportMissingImports]

from tests.parity.images import reference

FIXTURE = Path(__file__).with_suffix(".npz")
# As in torchvision: channels in units of the first, M a maximum.
LAYERS = {
    11: "1 M 2 M 4 4 M 8 8 M 8 8 M",
    16: "1 1 M 2 2 M 4 4 4 M 8 8 8 M 8 8 8 M",
    19: "1 1 M 2 2 M 4 4 4 4 M 8 8 8 8 M 8 8 8 8 M",
}


class Vgg(nn.Module):
    """The layer list of that depth, with BatchNorm or without."""

    def __init__(self, depth: int, width: int, batch_norm: bool) -> None:
        super().__init__()
        layers, inner = [], 3
        for layer in LAYERS[depth].split():
            if layer == "M":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            outer = width * int(layer)
            layers.append(nn.Conv2d(inner, outer, 3, padding=1))
            layers += [nn.BatchNorm2d(outer)] if batch_norm else []
            layers.append(nn.ReLU())
            inner = outer
        self.features = nn.Sequential(*layers)

    def forward(self, x):
        """`[batch, channel, height, width]` -> the last stage, of the same axes."""
        return self.features(x)


def stored() -> dict[str, np.ndarray]:
    """What the fixture holds."""
    return reference(Vgg(11, 2, True), (64, 40))


if __name__ == "__main__":
    np.savez_compressed(FIXTURE, **dict[str, Any](stored()))
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1000:.0f} kB")
