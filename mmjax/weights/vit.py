"""transformers' ViTModel: https://huggingface.co/google/vit-base-patch16-224-in21k."""

import numpy as np
from jaxtyping import Float

from mmjax.weights.place import Place, conv_kernel, linear_kernel

# What reads the class token; and a bias that adds the same to all logits of a query.
UNUSED = r"pooler\.dense\.(weight|bias)|encoder\.layer\.\d+\.attention\.attention\.key\.bias"


def places(layers: int) -> dict[str, Place]:
    """Of a transformer with so many blocks."""
    found = {
        "embeddings.cls_token": Place(("params", "class"), _first),
        "embeddings.position_embeddings": Place(("params", "position"), _first),
        "embeddings.patch_embeddings.projection.weight": Place(
            ("params", "patch", "kernel"), conv_kernel
        ),
        "embeddings.patch_embeddings.projection.bias": Place(("params", "patch", "bias")),
        **_norm("layernorm", "norm"),
    }
    for layer in range(layers):
        theirs, ours = f"encoder.layer.{layer}", f"block_{layer}"
        found |= _norm(f"{theirs}.layernorm_before", ours, "attention_norm")
        found |= _norm(f"{theirs}.layernorm_after", ours, "mlp_norm")
        for name in ("query", "key", "value"):
            found |= _linear(f"{theirs}.attention.attention.{name}", ours, name)
        found |= _linear(f"{theirs}.attention.output.dense", ours, "out")
        found |= _linear(f"{theirs}.intermediate.dense", ours, "hidden")
        found |= _linear(f"{theirs}.output.dense", ours, "mlp")
    return found


def _first(x: Float[np.ndarray, "1 token width"]) -> Float[np.ndarray, "token width"]:
    return x[0]


def _linear(published: str, *path: str) -> dict[str, Place]:
    kernel = {f"{published}.weight": Place(("params", *path, "kernel"), linear_kernel)}
    if path[-1] == "key":
        return kernel
    return kernel | {f"{published}.bias": Place(("params", *path, "bias"))}


def _norm(published: str, *path: str) -> dict[str, Place]:
    return {
        f"{published}.weight": Place(("params", *path, "scale")),
        f"{published}.bias": Place(("params", *path, "bias")),
    }
