"""What a training step of two networks computes and exchanges, counted without running it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import mmjax
from mmjax.devices import parallel
from mmjax.evaluation.flops import flops
from mmjax.models.train_state import create_state
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked

OBJECTIVES = {"match": mmjax.objectives.BinaryCrossEntropy(output="match", target="match")}
TX = mmjax.optim.Adam().chain(1)


class Network(NamedTuple):
    """A model, the sizes of its inputs, and the examples that one device takes of a batch."""

    name: str
    model: mmjax.Multimodal
    side: int  # pixels
    words: int
    batch: int


class Cost(NamedTuple):
    """Of one step."""

    parameters: int
    flops: int  # of an example, forward and backward
    norms: int  # batch norms: the statistics of each cross the devices while the step computes


def _pair(image: Any, text: Any, fusion: Any, hidden: tuple[int, ...]) -> mmjax.Multimodal:
    head = mmjax.heads.Logit(hidden=hidden)
    return mmjax.Multimodal(
        encoders={"image": image, "text": text}, fusion=fusion, heads={"match": head}
    )


NETWORKS = (
    Network(
        "the tutorial's",
        _pair(
            mmjax.encoders.Cnn(features=(32, 64), dim=64, pooling="flatten"),
            mmjax.encoders.Lstm(vocabulary_size=10_000, embedding_dim=32, dim=64),
            mmjax.fusion.Concat(),
            (128,),
        ),
        side=28,
        words=10,
        batch=128,
    ),
    Network(
        "ResNet-50 + BERT-base",
        _pair(
            mmjax.encoders.ResNet(depth=50, dim=768),
            mmjax.encoders.Bert(size="base"),
            mmjax.fusion.CrossAttention(dim=768, heads=12),
            (768,),
        ),
        side=224,
        words=128,
        batch=32,
    ),
)


# The second one with few channels: as many sums over devices, and two minutes of compiling.
NARROW = {
    norm: Network(
        f"{norm} norm",
        _pair(
            mmjax.encoders.ResNet(depth=50, norm=norm, width=32, dim=32),
            mmjax.encoders.Bert(size="tiny"),
            mmjax.fusion.CrossAttention(dim=32, heads=2),
            (8,),
        ),
        side=32,
        words=8,
        batch=1,
    )
    for norm in ("batch", "group")
}


def batch_of(network: Network, size: int) -> Batch:
    """Zeros of the right shapes."""
    image = np.zeros((size, network.side, network.side, 3), np.float32)
    words = np.zeros((size, network.words), np.int32)
    ones = np.ones(size, np.float32)
    inputs = {"image": Masked(image, ones > 0), "text": Masked(words, words == 0)}
    return Batch(inputs, {"match": Masked(ones, ones > 0)}, ones, np.arange(size))


def cost(network: Network) -> Cost:
    """From the program of a step, which is not compiled."""
    given = batch_of(network, 1)
    state = jax.eval_shape(lambda: create_state(network.model, TX, given, seed=0))
    return Cost(
        parameters=sum(x.size for x in jax.tree.leaves(state.params)),
        flops=flops(functools.partial(step(network), axis=None), state, given),
        norms=len(jax.tree.leaves(state.collections.get("batch_stats", {}))) // 2,
    )


def step(network: Network) -> Callable:
    """`train_step` of the network, without its devices."""
    return functools.partial(train_step, model=network.model, objectives=OBJECTIVES, tx=TX)


def compiled_sums(network: Network, devices: int) -> int:
    """All-reduces in the program that XLA makes of a step on so many devices, under pmap."""
    given = batch_of(network, network.batch * devices)
    state = create_state(network.model, TX, given, seed=0)
    program = jax.pmap(
        functools.partial(step(network), axis=parallel.AXIS),
        axis_name=parallel.AXIS,
        in_axes=(None, 0),
        devices=jax.local_devices()[:devices],
    )
    shares = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), given)
    return program.lower(state, shares).compile().as_text().count(" all-reduce(")
