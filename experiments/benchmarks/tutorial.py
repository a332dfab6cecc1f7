"""The tutorial's network at its own sizes, ours; PyTorch's is in tutorial_peer.py."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import made_up
import numpy as np
import optax
import parameters
from made_up import BATCH as BATCH
from made_up import LR, SIDE, VOCABULARY

import mmjax
from mmjax.types import Batch, Masked

OPTIM = mmjax.optim.Adam(peak_lr=LR, schedule="constant", warmup=0.0)
OBJECTIVES = {"match": mmjax.objectives.BinaryCrossEntropy(output="match", target="match")}


def model() -> mmjax.Multimodal:
    """Ours."""
    return mmjax.Multimodal(
        encoders={"image": mmjax.encoders.Cnn(), "text": mmjax.encoders.Lstm(VOCABULARY)},
        fusion=mmjax.fusion.Concat(),
        heads={"match": mmjax.heads.Logit()},
    )


def batch(given: made_up.Pairs) -> Batch:
    """Nothing missing."""
    size = len(given.labels)
    return Batch(
        inputs={
            "image": Masked(given.image, np.ones(size, bool)),
            "text": Masked(given.words, np.ones(given.words.shape, bool)),
        },
        targets={"match": Masked(given.labels, np.ones(size, bool))},
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


def mapped(arrays: parameters.Arrays) -> dict[str, dict]:
    """PyTorch's weights as our parameters."""
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
