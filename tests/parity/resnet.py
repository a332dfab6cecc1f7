"""torchvision's ResNet, its tensors and its layers in plain torch, without the classifier.

`python -m tests.parity.resnet` writes resnet.npz: a small one, so that the comparison can be made
where PyTorch is not installed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

from tests.parity.images import reference

FIXTURE = Path(__file__).with_suffix(".npz")
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(32 if channels % 64 == 0 else channels // 2, channels)


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3 and 1x1 to four times the width."""

    def __init__(self, inner: int, width: int, stride: int, deep: bool, norm: Any) -> None:
        super().__init__()
        self.deep, outer = deep, width * (4 if deep else 1)
        if deep:
            self.conv1 = nn.Conv2d(inner, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(width, outer, 1, bias=False)
            self.bn3 = norm(outer)
        else:
            self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = norm(width), norm(width)
        self.downsample = nn.Identity()
        if stride != 1 or inner != outer:
            conv = nn.Conv2d(inner, outer, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, norm(outer))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.deep:
            y = self.bn3(self.conv3(torch.relu(y)))
        return torch.relu(y + self.downsample(x))


class ResNet(nn.Module):
    """The stem, and four stages of blocks."""

    def __init__(self, depth: int, width: int, small: bool = False, norm: Any = None) -> None:
        super().__init__()
        norm = norm or nn.BatchNorm2d
        self.small, deep, inner = small, depth >= 50, width
        stem = (3, 1, 1) if small else (7, 2, 3)
        self.conv1, self.bn1 = nn.Conv2d(3, width, *stem, bias=False), norm(width)
        for stage, blocks in enumerate(BLOCKS[depth]):
            layers = []
            for place in range(blocks):
                stride = 2 if stage and not place else 1
                layers.append(Block(inner, width * 2**stage, stride, deep, norm))
                inner = width * 2**stage * (4 if deep else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))

    def forward(self, x):
        """`[batch, channel, height, width]` -> the last stage, of the same axes."""
        x = torch.relu(self.bn1(self.conv1(x)))
        if not self.small:
            x = nn.functional.max_pool2d(x, 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def stored() -> dict[str, np.ndarray]:
    """What the fixture holds."""
    return reference(ResNet(18, 2), (48, 40))


if __name__ == "__main__":
    np.savez_compressed(FIXTURE, **dict[str, Any](stored()))
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1000:.0f} kB")
