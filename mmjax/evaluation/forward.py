"""Operations of a model's forward pass, from the shapes of its inputs."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mmjax.data.preprocessing import Preprocessing
from mmjax.evaluation.flops import flops
from mmjax.models.base import Model
from mmjax.types import Batch, Outputs


def forward_flops(
    model: Model, variables: Mapping[str, Any], preprocessing: Preprocessing
) -> float:
    """Floating-point operations of a forward pass per example; `variables` may be shapes."""
    size = 8  # an even share of what a pass does once
    batch = batch_shapes(preprocessing, size)
    inputs = {name: batch.inputs[name] for name in model.modalities}

    def forward(variables: Any, inputs: Any, targets: Any) -> Any:
        return counted(model.apply(variables, inputs, train=False, targets=targets))

    return flops(forward, shapes_of(dict(variables)), inputs, batch.targets) / size


def batch_shapes(preprocessing: Preprocessing, size: int) -> Batch:
    """The shapes of a batch."""
    empty = {name: [None] * size for name in preprocessing.transforms}
    ids = np.zeros(size, np.int64)
    weight = np.ones(size, np.float32)
    return shapes_of(Batch(preprocessing(empty), preprocessing.targeted({}, ids), weight, ids))


def shapes_of(tree: Any) -> Any:
    """The shapes of arrays."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def counted(tree: Any) -> Any:
    """Outputs without texts that decoders wrote: of these only teacher forcing is counted."""
    if isinstance(tree, Outputs):
        return dataclasses.replace(tree, values={n: counted(x) for n, x in tree.values.items()})
    if isinstance(tree, Mapping) and "logits" in tree:
        return {"logits": tree["logits"]}
    return tree
