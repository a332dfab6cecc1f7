"""transformers' ViTModel: https://huggingface.co/google/vit-base-patch16-224-in21k."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.encoders.vit import SIZES, Vit
from mmjax.errors import UserError
from mmjax.layers.fields import size_of
from mmjax.weights.place import Array, Place, Places, conv_kernel, first, layer_norm, linear

# Heads, the mask token of pretraining, and a bias that adds the same to all logits of a query.
UNUSED = (
    r"(pooler\.dense|classifier|decoder\.0)\.(weight|bias)|embeddings\.mask_token"
    r"|encoder\.layer\.\d+\.attention\.attention\.key\.bias"
)


def places(encoder: Vit) -> Places:
    """The places for an encoder of the same depth; positions are resized to its image size."""
    _, layers, _ = size_of(encoder, SIZES)
    patch = "embeddings.patch_embeddings.projection"
    result = {
        "embeddings.cls_token": [Place(("params", "class"), first)],
        "embeddings.position_embeddings": [Place(("params", "position"), first, resized)],
        f"{patch}.weight": [Place(("params", "patch", "kernel"), conv_kernel)],
        f"{patch}.bias": [Place(("params", "patch", "bias"))],
        **layer_norm("layernorm", "norm"),
    }
    for layer in range(layers):
        theirs, ours = f"encoder.layer.{layer}", f"block_{layer}"
        result |= layer_norm(f"{theirs}.layernorm_before", ours, "attention_norm")
        result |= layer_norm(f"{theirs}.layernorm_after", ours, "mlp_norm")
        for name in ("query", "key", "value"):
            attention = f"{theirs}.attention.attention.{name}"
            result |= linear(attention, ours, name, bias=name != "key")
        result |= linear(f"{theirs}.attention.output.dense", ours, "out")
        result |= linear(f"{theirs}.intermediate.dense", ours, "hidden")
        result |= linear(f"{theirs}.output.dense", ours, "mlp")
    return result


def resized(table: Array, shape: tuple[int, ...]) -> Array:
    """Positions `[1 + patches, dim]`, those of the patches resized bicubically to another grid.

    An equal number of patches is taken for the same grid.

    Raises:
        UserError: the numbers differ, and a grid is not square.
    """
    if len(table) == shape[0]:
        return table
    old, new = (math.isqrt(max(count - 1, 0)) for count in (len(table), shape[0]))
    if old == 0 or (old**2 + 1, new**2 + 1) != (len(table), shape[0]):
        raise UserError(
            f"positions of {len(table) - 1} patches can be resized to {shape[0] - 1} "
            "only from a square to a square"
        )
    grid = np.reshape(table[1:], (old, old, -1))
    grid = jax.image.resize(jnp.asarray(grid), (new, new, grid.shape[-1]), "bicubic")
    return np.concatenate([table[:1], np.reshape(grid, (new * new, -1))])
