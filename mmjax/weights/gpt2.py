"""transformers' GPT2Model: https://huggingface.co/openai-community/gpt2."""

from collections.abc import Callable

import numpy as np

from mmjax.encoders.gpt2 import SIZES, Gpt2
from mmjax.heads import TransformerDecoder
from mmjax.layers.fields import size_of
from mmjax.weights.place import Place, Places, cut, layer_norm

# Heads, and attention masks.
UNUSED = (
    r"(lm_head|score|classifier|qa_outputs|multiple_choice_head\.summary)\.(weight|bias)"
    r"|h\.\d+\.attn\.(bias|masked_bias)"
)


def places(encoder: Gpt2 | TransformerDecoder) -> Places:
    """The places for an encoder or decoder of the same depth, with as many positions or fewer.

    Published kernels are [in, out], like ours; one holds query, key and value.
    """
    layers = encoder.layers
    if isinstance(encoder, Gpt2):
        _, layers, _ = size_of(encoder, SIZES)
    result = {
        "wte.weight": [Place(("params", "word", "embedding"))],
        "wpe.weight": [Place(("params", "position", "table"), fit=cut)],
        **layer_norm("ln_f", "norm"),
    }
    for layer in range(layers or 0):
        theirs, ours = f"h.{layer}", f"block_{layer}"
        result |= layer_norm(f"{theirs}.ln_1", ours, "attention_norm")
        result |= layer_norm(f"{theirs}.ln_2", ours, "mlp_norm")
        result[f"{theirs}.attn.c_attn.weight"] = [
            Place(("params", ours, name, "kernel"), _third(n))
            for n, name in enumerate(("query", "key", "value"))
        ]
        # The key's bias adds the same to all logits of a query.
        result[f"{theirs}.attn.c_attn.bias"] = [
            Place(("params", ours, name, "bias"), _third(n))
            for n, name in ((0, "query"), (2, "value"))
        ]
        for published, name in (
            ("attn.c_proj", "out"),
            ("mlp.c_fc", "hidden"),
            ("mlp.c_proj", "mlp"),
        ):
            result[f"{theirs}.{published}.weight"] = [Place(("params", ours, name, "kernel"))]
            result[f"{theirs}.{published}.bias"] = [Place(("params", ours, name, "bias"))]
    return result


def _third(n: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function that returns the n-th third of the last axis."""
    return lambda x: np.split(x, 3, axis=-1)[n]
