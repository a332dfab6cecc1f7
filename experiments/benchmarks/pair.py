"""ResNet-18 with BERT-mini: ours, and PyTorch's weights as ours."""

from typing import Any

import parameters
from made_up import PAIR_WORDS as WORDS
from parameters import Arrays, linear, norm

import mmjax

FUSIONS = {
    "concat": mmjax.fusion.Concat(),
    "cross_attention": mmjax.fusion.CrossAttention(),
    "bottleneck": mmjax.fusion.Bottleneck(),
}


def model(fusion: str) -> mmjax.Multimodal:
    """Ours."""
    return mmjax.Multimodal(
        encoders={
            "image": mmjax.encoders.ResNet(18),
            "text": mmjax.encoders.Bert("mini", positions=WORDS),
        },
        fusion=FUSIONS[fusion],
        heads={"match": mmjax.heads.Logit()},
    )


def mapped(arrays: Arrays, fusion: str) -> dict[str, Any]:
    """PyTorch's weights as our parameters."""
    found = {
        "encoders_image": _resnet(arrays, "image"),
        "encoders_text": _bert(arrays, "text"),
        "heads_match": {
            "Mlp_0": {"Dense_0": linear(arrays, "hidden"), "Dense_1": linear(arrays, "logit")}
        },
    }
    if fusion == "concat":
        return found
    streams = {name: linear(arrays, f"join_{name}") for name in ("image", "text")}
    if fusion == "cross_attention":
        fused = {"join": {"streams": streams}, "block": _block(arrays, "block")}
    else:
        blocks = ("image_0", "text_0", "image_1", "text_1")
        fused = {name: _block(arrays, name) for name in blocks}
        fused |= {"streams": streams, "bottleneck": arrays["bottleneck"]}
        fused["out"] = {"norm": norm(arrays, "out_norm")}
    return found | {"fusion": fused}


def _resnet(arrays: Arrays, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"conv1": parameters.conv(arrays, f"{name}.conv1")}
    found["norm1"] = norm(arrays, f"{name}.norm1")
    for block in [f"stage{stage}_{place}" for stage in range(1, 5) for place in (0, 1)]:
        at, found[block] = f"{name}.{block}", {}
        for place in (1, 2):
            found[block][f"conv{place}"] = parameters.conv(arrays, f"{at}.conv{place}")
            found[block][f"norm{place}"] = norm(arrays, f"{at}.norm{place}")
        if f"{at}.shortcut.weight" in arrays:
            found[block]["shortcut"] = parameters.conv(arrays, f"{at}.shortcut")
            found[block]["shortcut_norm"] = norm(arrays, f"{at}.shortcut_norm")
    return found


def _bert(arrays: Arrays, name: str) -> dict[str, Any]:
    at = f"{name}.embeddings"
    found: dict[str, Any] = {
        "word": {"embedding": arrays[f"{at}.word_embeddings.weight"]},
        "position": {
            "table": arrays[f"{at}.position_embeddings.weight"]
            + arrays[f"{at}.token_type_embeddings.weight"][:1]
        },
        "norm": norm(arrays, f"{at}.LayerNorm"),
    }
    for layer in range(4):
        at = f"{name}.encoder.layer.{layer}"
        found[f"block_{layer}"] = {
            "query": linear(arrays, f"{at}.attention.self.query"),
            "key": {"kernel": linear(arrays, f"{at}.attention.self.key")["kernel"]},
            "value": linear(arrays, f"{at}.attention.self.value"),
            "out": linear(arrays, f"{at}.attention.output.dense"),
            "attention_norm": norm(arrays, f"{at}.attention.output.LayerNorm"),
            "hidden": linear(arrays, f"{at}.intermediate.dense"),
            "mlp": linear(arrays, f"{at}.output.dense"),
            "mlp_norm": norm(arrays, f"{at}.output.LayerNorm"),
        }
    return found


def _block(arrays: Arrays, name: str) -> dict[str, Any]:
    return {
        **{part: linear(arrays, f"{name}.{part}") for part in ("query", "key", "value", "out")},
        "attention_norm": norm(arrays, f"{name}.attend_norm"),
        "nothing": arrays[f"{name}.nothing"],
        "hidden": linear(arrays, f"{name}.hidden"),
        "mlp": linear(arrays, f"{name}.last"),
        "mlp_norm": norm(arrays, f"{name}.feed_norm"),
    }
