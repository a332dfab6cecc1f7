"""transformers' BertModel: https://huggingface.co/google-bert/bert-base-uncased."""

import numpy as np

from mmjax.encoders.bert import SIZES, Bert
from mmjax.layers.fields import size_of
from mmjax.weights.place import Array, Place, Places, cut, layer_norm, linear

# Heads, a list of positions, and a bias that adds the same to all logits of a query.
UNUSED = (
    r"cls\..*|(pooler\.dense|classifier|qa_outputs)\.(weight|bias)"
    r"|embeddings\.(position_ids|token_type_ids)"
    r"|encoder\.layer\.\d+\.attention\.self\.key\.bias"
)


def places(encoder: Bert) -> Places:
    """The places for an encoder of the same depth, with as many positions or fewer."""
    _, layers, _ = size_of(encoder, SIZES)
    position = ("params", "position", "table")
    result = {
        "embeddings.word_embeddings.weight": [Place(("params", "word", "embedding"))],
        "embeddings.position_embeddings.weight": [Place(position, fit=cut)],
        "embeddings.token_type_embeddings.weight": [Place(position, fit=first_segment)],
        **layer_norm("embeddings.LayerNorm", "norm"),
    }
    for layer in range(layers):
        theirs, ours = f"encoder.layer.{layer}", f"block_{layer}"
        for name in ("query", "key", "value"):
            attention = f"{theirs}.attention.self.{name}"
            result |= linear(attention, ours, name, bias=name != "key")
        result |= linear(f"{theirs}.attention.output.dense", ours, "out")
        result |= layer_norm(f"{theirs}.attention.output.LayerNorm", ours, "attention_norm")
        result |= linear(f"{theirs}.intermediate.dense", ours, "hidden")
        result |= linear(f"{theirs}.output.dense", ours, "mlp")
        result |= layer_norm(f"{theirs}.output.LayerNorm", ours, "mlp_norm")
    return result


def first_segment(x: Array, shape: tuple[int, ...]) -> Array:
    """The embedding of segment 0, the only one that our encoder has, for every position."""
    return np.repeat(x[:1], shape[0], axis=0)
