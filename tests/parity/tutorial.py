"""The tutorial's network as a user of PyTorch writes it, and what it computes.

`python tests/parity/tutorial.py` writes tutorial.npz: weights, inputs, logits, loss and gradients
of a small one, so that the comparison can be made where PyTorch is not installed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

FIXTURE = Path(__file__).with_suffix(".npz")


@dataclass(frozen=True)
class Sizes:
    """Every width differs from every other, and so does height: a swap of axes cannot pass."""

    image: tuple[int, int, int] = (9, 6, 3)  # the odd row is dropped by the pool
    features: tuple[int, int] = (4, 10)
    dim: int = 8
    vocabulary: int = 50
    embedding: int = 5
    state: int = 7
    hidden: int = 11
    words: int = 6
    batch: int = 6


FULL = Sizes(
    image=(28, 28, 1),
    features=(32, 64),
    dim=64,
    vocabulary=10_000,
    embedding=32,
    state=64,
    hidden=128,
    words=12,
    batch=8,
)


class Tutorial(nn.Module):
    """Conv, Conv, AvgPool, Linear | Embedding, LSTM | concat, Linear, ReLU, Linear."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        height, width, channels = sizes.image
        first, second = sizes.features
        self.conv1 = nn.Conv2d(channels, first, 3, padding="same")
        self.conv2 = nn.Conv2d(first, second, 3, padding="same")
        self.pool = nn.AvgPool2d(2)
        self.project = nn.Linear(second * (height // 2) * (width // 2), sizes.dim)
        self.embedding = nn.Embedding(sizes.vocabulary, sizes.embedding)
        self.lstm = nn.LSTM(sizes.embedding, sizes.state, batch_first=True)
        self.hidden = nn.Linear(sizes.dim + sizes.state, sizes.hidden)
        self.logit = nn.Linear(sizes.hidden, 1)

    def forward(self, image, seen, words, lengths):
        """image `[batch, channel, height, width]`; `seen` is False where there is none."""
        x = torch.relu(self.conv2(torch.relu(self.conv1(image))))
        x = self.project(torch.flatten(self.pool(x), 1)) * seen[:, None]
        # Packing wants at least one word; the state of a text without words is zeros.
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(words), lengths.clamp(min=1), batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)
        y = last[0] * (lengths > 0)[:, None]
        return self.logit(torch.relu(self.hidden(torch.cat([x, y], dim=1))))[:, 0]


def randomise(module: nn.Module, random: np.random.Generator) -> None:
    """New values for every tensor: default ones are too regular (biases of 0) to show an error."""
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 1 / np.sqrt(np.prod(parameter.shape[1:])) if parameter.ndim > 1 else 0.3
            values = scale * random.standard_normal(tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))


def reference(sizes: Sizes, seed: int = 0) -> dict[str, np.ndarray]:
    """A batch, the network's `weight/...` and what it makes of them: logits, loss, `gradient/...`.

    Lengths run from 0 to all words, garbage stands in the padding, one image is missing, the last
    example is a filler of weight 0.
    """
    random = np.random.default_rng(seed)
    lengths = np.array([0, 1, sizes.words, *random.integers(1, sizes.words, sizes.batch - 3)])
    data = {
        "image": random.standard_normal((sizes.batch, *sizes.image)).astype(np.float32),
        "seen": np.arange(sizes.batch) != 2,
        "words": random.integers(0, sizes.vocabulary, (sizes.batch, sizes.words)),
        "lengths": lengths,
        "labels": random.integers(0, 2, sizes.batch),
        "weight": (np.arange(sizes.batch) < sizes.batch - 1).astype(np.float32),
    }
    network = Tutorial(sizes)
    randomise(network, random)
    image, seen, words, lengths, labels, weight = (torch.from_numpy(x) for x in data.values())
    logits = network(image.permute(0, 3, 1, 2), seen, words, lengths)
    loss = nn.BCEWithLogitsLoss(reduction="none")(logits, labels.float())
    loss = (loss * weight).sum() / weight.sum()
    loss.backward()
    weights, gradients = {}, {}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        weights[f"weight/{name}"] = parameter.detach().numpy()
        gradients[f"gradient/{name}"] = parameter.grad.numpy()
    results = {"logits": logits.detach().numpy(), "loss": loss.detach().numpy()}
    return {**data, **weights, **results, **gradients}


if __name__ == "__main__":
    arrays: dict[str, Any] = dict(reference(Sizes()))
    np.savez_compressed(FIXTURE, **arrays)
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1000:.0f} kB")
