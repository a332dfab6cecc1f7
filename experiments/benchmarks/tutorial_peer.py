"""The tutorial's network, PyTorch's. Imports no JAX: it is timed from a process's start."""

from collections.abc import Callable
from typing import Any

import made_up
import peer
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]


class Network(nn.Module):
    """Conv, Conv, AvgPool, Linear | Embedding, LSTM | concat, Linear, ReLU, Linear."""

    def __init__(self, channels: int = made_up.CHANNELS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.project = nn.Linear(64 * (made_up.SIDE // 2) ** 2, 64)
        self.embedding = nn.Embedding(made_up.VOCABULARY, 32)
        self.lstm = nn.LSTM(32, 64, batch_first=True)
        self.hidden = nn.Linear(128, 128)
        self.logit = nn.Linear(128, 1)
        one_bias(self.lstm)

    def forward(self, image, words, last=None):
        """image `[batch, channel, height, width]`; `last`: where each text ends."""
        x = torch.relu(self.conv2(torch.relu(self.conv1(image))))
        x = self.project(torch.flatten(nn.functional.avg_pool2d(x, 2), 1))
        states, (final, _) = self.lstm(self.embedding(words))
        y = final[0] if last is None else states[torch.arange(len(words)), last]
        return self.logit(torch.relu(self.hidden(torch.cat([x, y], 1))))[:, 0]


def one_bias(lstm: nn.LSTM) -> None:
    """Its second bias stays zero, as ours has one: Adam would move the sum of two twice."""
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias_hh"):
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)


def network(channels: int = made_up.CHANNELS, seed: int = 0) -> Any:
    """With PyTorch's own initial weights."""
    torch.manual_seed(seed)
    return Network(channels)


def loss_of(given: made_up.Pairs, channels_last: bool) -> Callable[[Any], Any]:
    """The loss of a network on the batch."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    image = torch.from_numpy(given.image).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    words, labels = torch.from_numpy(given.words).long(), torch.from_numpy(given.labels).float()

    def loss(network: Any) -> Any:
        logits = network(image, words)
        return nn.functional.binary_cross_entropy_with_logits(logits, labels)

    return loss


def contenders(given: made_up.Pairs) -> tuple[dict[str, Callable[[], object]], list[str]]:
    """Training steps: eager and compiled, in both layouts; and what failed."""
    found, notes = {}, []
    for channels_last in (False, True):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        name = "PyTorch{} channels_last" if channels_last else "PyTorch{}"
        loss = loss_of(given, channels_last)
        net = network().to(memory_format=layout)
        found[name.format(" eager")] = peer.trainer(net, loss, made_up.LR)
        faster, note = peer.compiled(
            network().to(memory_format=layout), lambda net, loss=loss: loss(net).backward()
        )
        notes += [note] if note and note not in notes else []
        if faster is not None:
            found[name.format(" compiled")] = peer.trainer(faster, loss, made_up.LR)
    return found, notes
