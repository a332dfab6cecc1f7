"""What the parity tests of text networks share on transformers' side."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from safetensors.numpy import load_file

from tests.parity.images import randomise


def texts(vocabulary: int, words: int) -> tuple[np.ndarray, np.ndarray]:
    """(ids, mask) of texts of 0, 1 ... `words` words, and as many again in other company."""
    random, lengths = np.random.default_rng(0), [*range(words + 1), *range(words + 1)]
    ids = random.integers(0, vocabulary, (len(lengths), words)).astype(np.int32)
    return ids, np.arange(words)[None, :] < np.array(lengths)[:, None]


def reference(
    network: Any, words: int, names: dict[str, int] | None = None, seed: int = 0
) -> dict[str, np.ndarray]:
    """Texts, the network's `weight/...` by their published names, and its tokens.

    Tokens where there is no word are zeros; `names` are numbers to keep with them.
    """
    randomise(network.eval(), seed)
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        weights = load_file(Path(folder) / "model.safetensors")
    ids, mask = texts(network.config.vocab_size, words)
    # A softmax over nothing is anybody's guess: an empty text is read whole, and then left out.
    read = mask | ~mask.any(axis=1, keepdims=True)
    with torch.no_grad():
        found = network(
            input_ids=torch.from_numpy(ids).long(), attention_mask=torch.from_numpy(read).long()
        ).last_hidden_state.numpy()
    return {
        "word": ids,
        "mask": mask,
        "eval": np.where(mask[:, :, None], found, np.zeros_like(found)),
        **{name: np.array(value) for name, value in (names or {}).items()},
        **{f"weight/{name}": values for name, values in weights.items()},
    }
