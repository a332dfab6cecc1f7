"""Where a fusion looks: how much of its attention each token of each modality gets."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.attention.attention import weights_seen
from mmjax.models.base import Model
from mmjax.types import Batch

Shares = dict[str, Float[np.ndarray, "batch token"]]


def fusion_attention(model: Model, variables: Any, batch: Batch) -> Shares:
    """The share of attention of each encoder's tokens, by modality; empty without any.

    Of a fusion that reads the tokens of all modalities side by side: the mean over heads and
    present queries of its last such layer; what is missing to 1 went to a learned token. Of others
    the last layers that read one modality alone, where its number of tokens tells which: then the
    shares of each modality sum to 1. Attention tells what was read, and not what the answer
    depends on (Jain and Wallace 2019, arXiv:1902.10186).
    """
    layers, masks = jax.device_get(jax.jit(_traced(model, batch.targets))(variables, batch.inputs))
    masks = dict(sorted(masks.items()))
    lengths = {name: mask.shape[1] for name, mask in masks.items()}
    everyone = np.concatenate([*masks.values()], axis=1) if masks else np.zeros((1, 0), bool)
    joint = [x for x in layers if _reads(x, everyone.shape[1])]
    if joint and len(masks) > 1:
        shares = _received(joint[-1], everyone)
        ends = np.cumsum([*lengths.values()])
        return dict(zip(masks, np.split(shares[:, : ends[-1]], ends[:-1], axis=1), strict=True))
    found = {}
    for name, length in lengths.items():
        own = [x for x in layers if _reads(x, length)]
        if own and [*lengths.values()].count(length) == 1:
            shares = _received(own[-1], everyone)[:, :length]
            found[name] = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    return found


def _reads(weights: np.ndarray, tokens: int) -> bool:
    """Whether the keys are so many tokens, alone or with a learned one behind them."""
    return tokens > 0 and weights.shape[3] in (tokens, tokens + 1)


def _received(
    weights: Float[np.ndarray, "batch head query key"], everyone: Bool[np.ndarray, "batch token"]
) -> Float[np.ndarray, "batch key"]:
    """The mean over heads and queries, of queries that are the tokens over those present."""
    counted = np.ones(weights.shape[::2][:2], bool)
    if weights.shape[2] == everyone.shape[1]:
        counted = everyone
    total = np.einsum("bhqk,bq->bk", weights.astype(np.float64), counted) / weights.shape[1]
    return (total / np.maximum(counted.sum(axis=1, keepdims=True), 1)).astype(np.float32)


def _traced(model: Model, targets: Mapping[str, Any]) -> Callable:
    """From variables and inputs to the weights of the fusion's layers, and its tokens' masks."""

    def run(variables: Any, inputs: Any) -> Any:
        layers, masks = [], {}

        def look(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
            if context.module.path != ("fusion",) or context.method_name != "__call__":
                return call(*args, **kwargs)
            masks.update({name: tokens.mask for name, tokens in args[0].items()})
            with weights_seen() as found:
                result = call(*args, **kwargs)
            layers.extend(found)
            return result

        with nn.intercept_methods(look):
            model.apply(variables, inputs, train=False, targets=targets)
        return layers, masks

    return run
