"""The tutorial's network at its own sizes, ours and PyTorch's, with the same weights and batch."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
import parameters
import peer
from peer import torch

import mmjax
from mmjax.types import Batch, Input

BATCH, SIDE, CHANNELS, WORDS, VOCABULARY = 128, 28, 3, 10, 10_000
LR = 1e-3
OPTIM = mmjax.Adam(peak_lr=LR, schedule="constant", warmup=0.0)
OBJECTIVES = {"match": mmjax.BinaryCrossEntropy()}


def model() -> mmjax.Multimodal:
    """Ours."""
    return mmjax.Multimodal(
        encoders={"image": mmjax.Cnn(), "text": mmjax.Lstm(VOCABULARY)},
        fusion=mmjax.Concat(),
        heads={"match": mmjax.Logit()},
    )


def batch(size: int = BATCH, seed: int = 0) -> Batch:
    """Made up: images of noise, captions without padding."""
    random = np.random.default_rng(seed)
    image = random.standard_normal((size, SIDE, SIDE, CHANNELS)).astype(np.float32)
    words = random.integers(0, VOCABULARY, (size, WORDS)).astype(np.int32)
    return Batch(
        inputs={
            "image": Input(image, np.ones(size, bool)),
            "text": Input(words, np.ones((size, WORDS), bool)),
        },
        labels={"match": random.integers(0, 2, size)},
        weight=np.ones(size, np.float32),
        ids=np.arange(size),
    )


def tx() -> optax.GradientTransformation:
    """Adam at a constant rate, as PyTorch's."""
    return OPTIM.chain(1)


def state(given: Batch, params: Any = None, seed: int = 0) -> mmjax.TrainState:
    """The state before the first step, with PyTorch's weights where they are given."""
    fresh = mmjax.create_state(model(), tx(), given, seed=seed)
    return (
        fresh
        if params is None
        else dataclasses.replace(fresh, params=jax.tree.map(np.copy, params))
    )


def step(**changes: Any) -> Callable:
    """`train_step` of this network, without its devices."""
    settings = {"model": model(), "objectives": OBJECTIVES, "tx": tx()} | changes
    return functools.partial(mmjax.train_step, **settings)


if torch is not None:
    from torch import nn  # pyright: ignore[reportMissingImports]

    class Network(nn.Module):
        """Conv, Conv, AvgPool, Linear | Embedding, LSTM | concat, Linear, ReLU, Linear."""

        def __init__(self, channels: int = CHANNELS) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, 32, 3, padding=1)
            self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
            self.project = nn.Linear(64 * (SIDE // 2) ** 2, 64)
            self.embedding = nn.Embedding(VOCABULARY, 32)
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


def network(channels: int = CHANNELS, seed: int = 0) -> Any:
    """PyTorch's, with its own initial weights."""
    assert torch is not None
    torch.manual_seed(seed)
    return Network(channels)


def loss_of(given: Batch, channels_last: bool) -> Callable[[Any], Any]:
    """PyTorch's loss of a network on the batch."""
    assert torch is not None
    image = torch.from_numpy(np.asarray(given.inputs["image"].values)).permute(0, 3, 1, 2)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    image = image.contiguous(memory_format=layout)
    words = torch.from_numpy(np.asarray(given.inputs["text"].values)).long()
    labels = torch.from_numpy(np.asarray(given.labels["match"])).float()

    def loss(network: Any) -> Any:
        logits = network(image, words)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)

    return loss


def contenders(given: Batch) -> tuple[dict[str, Callable[[], object]], list[str]]:
    """PyTorch's training steps: eager and compiled, in both layouts; and what failed."""
    assert torch is not None
    found, notes = {}, []
    for channels_last in (False, True):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        name = "PyTorch{} channels_last" if channels_last else "PyTorch{}"
        loss = loss_of(given, channels_last)
        net = network().to(memory_format=layout)
        found[name.format(" eager")] = peer.trainer(net, loss, LR)
        faster, note = peer.compiled(
            network().to(memory_format=layout), lambda net, loss=loss: loss(net).backward()
        )
        notes += [note] if note and note not in notes else []
        if faster is not None:
            found[name.format(" compiled")] = peer.trainer(faster, loss, LR)
    return found, notes


def mapped(net: Any) -> dict[str, dict]:
    """PyTorch's weights as our parameters."""
    arrays = peer.arrays(net)
    return {
        "encoders_image": {
            "Conv_0": parameters.conv(arrays, "conv1"),
            "Conv_1": parameters.conv(arrays, "conv2"),
            "projection": parameters.flattened_linear(arrays, "project", SIDE // 2, SIDE // 2),
        },
        "encoders_text": {
            "embedding": {"embedding": arrays["embedding.weight"]},
            "lstm": {"layer_0_forward": parameters.lstm(arrays, "lstm")},
        },
        "heads_match": {
            "Mlp_0": {
                "Dense_0": parameters.linear(arrays, "hidden"),
                "Dense_1": parameters.linear(arrays, "logit"),
            }
        },
    }
