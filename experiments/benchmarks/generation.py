"""Words per second that GPT-2 writes: ours beside transformers' `generate`, of the same weights.

    python experiments/benchmarks/generation.py --peer /path/of/a/python/with/transformers

The peer draws random weights of GPT-2 small and saves them; both then continue one word by 32
greedily and with 4 beams, one text and eight at once, in processes of their own. Ours also
without a cache, which computes every earlier word again. The greedy texts must be the same.
Compilation is not counted; the median of 3 calls is.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro

WORDS, START = 32, 50_256  # words that are written after the first, which also ends texts
CASES = ((1, 1), (8, 1), (1, 4))  # texts at once, beams
CALLS = 3


def seconds(call: Callable[[], Any]) -> float:
    """The median of `CALLS` calls, after one that is not counted."""
    call()
    taken = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def theirs(folder: Path, layers: int) -> list[dict[str, Any]]:
    """Words per second of transformers, and the greedy text; saves the weights."""
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import GPT2Config, GPT2LMHeadModel  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    config = GPT2Config(n_layer=layers, initializer_range=0.2)
    model = GPT2LMHeadModel(config).eval()
    model.save_pretrained(folder)
    found = []
    for batch, beams in CASES:
        first = torch.full((batch, 1), START)

        def write(first: Any = first, beams: int = beams) -> Any:
            with torch.inference_mode():
                return model.generate(
                    first,
                    attention_mask=torch.ones_like(first),
                    max_new_tokens=WORDS,
                    min_new_tokens=WORDS,
                    num_beams=beams,
                    do_sample=False,
                    pad_token_id=START,
                )

        rate = batch * WORDS / seconds(write)
        found.append({"rate": rate, "text": write()[0, 1:].tolist()})
    return found


def ours(folder: Path, layers: int) -> list[dict[str, Any]]:
    """Words per second of our decoder, with the cache and without it, and the greedy text."""
    import jax
    import jax.numpy as jnp

    from mmjax.heads import TransformerDecoder
    from mmjax.types import Tokens
    from mmjax.weights.load import load

    decoder = TransformerDecoder(
        vocabulary_size=50_257,
        positions=1024,
        width=768,
        layers=layers,
        heads=12,
        context="prefix",
        length=WORDS,
        end=START,
        unknown=START,  # so that no text ends earlier
    )

    def tokens(batch: int) -> Tokens:
        return Tokens(jnp.zeros((batch, 0, 768)), jnp.zeros((batch, 0), bool))

    fresh = decoder.init(jax.random.key(0), tokens(1), train=False)
    variables = jax.device_put(load(decoder, folder / "model.safetensors", fresh))
    found = []
    for batch, beams in CASES:
        write = jax.jit(decoder.clone(beams=beams).apply, static_argnames="train")
        given = tokens(batch)

        def call(write: Any = write, given: Any = given) -> Any:
            return jax.block_until_ready(write(variables, given, train=False)["words"])

        rate = batch * WORDS / seconds(call)
        found.append({"rate": rate, "text": np.asarray(call())[0, 0].tolist()})

    @jax.jit
    def whole(variables: Any, words: Any) -> Any:
        logits = decoder.apply(variables, tokens(len(words)), words, False, method="logits")
        return jnp.argmax(jnp.asarray(logits)[:, -1], axis=-1)

    def uncached(batch: int) -> Any:
        words = jnp.full((batch, WORDS), START, jnp.int32)
        for _ in range(WORDS):  # every call computes all positions
            words = jnp.concatenate([words[:, 1:], whole(variables, words)[:, None]], axis=1)
        return jax.block_until_ready(words)

    for place, (batch, beams) in enumerate(CASES):
        if beams == 1:
            begun = time.perf_counter()
            uncached(batch)
            found[place]["uncached"] = batch * WORDS / (time.perf_counter() - begun)
    return found


def main(
    peer: str = sys.executable, layers: int = 12, side: str = "", folder: Path | None = None
) -> None:
    """Print a table.

    Args:
        peer: a Python that has torch and transformers
        layers: blocks; GPT-2 small has 12
        side: ours or theirs: only this side, as JSON; by default both in turns
        folder: for the weights
    """
    if side:
        if folder is None:
            raise SystemExit("--folder: expected a folder for the weights")
        print(json.dumps({"ours": ours, "theirs": theirs}[side](folder, layers)))
        return
    with tempfile.TemporaryDirectory() as home:
        results: dict[str, list[dict[str, Any]]] = {}
        for name, python in (("theirs", peer), ("ours", sys.executable)):
            command = [python, __file__, "--side", name, "--folder", home]
            done = subprocess.run(
                [*command, "--layers", str(layers)], check=True, capture_output=True, text=True
            )
            results[name] = json.loads(done.stdout.splitlines()[-1])
    print(
        "| texts at once | beams | ours, words/s | without cache | transformers | ours / theirs |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for place, (batch, beams) in enumerate(CASES):
        a, b = results["ours"][place], results["theirs"][place]
        uncached = f"{a['uncached']:.1f}" if "uncached" in a else ""
        print(
            f"| {batch} | {beams} | {a['rate']:.1f} | {uncached} | {b['rate']:.1f} "
            f"| {a['rate'] / b['rate']:.2f} |"
        )
        if beams == 1:
            print(f"  the same text: {a['text'] == b['text']}", file=sys.stderr)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
