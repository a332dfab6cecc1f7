"""transformers' BertModel of a small configuration, with the tensors of a file that it writes.

`python -m tests.parity.bert` writes bert.npz: a small one, so that the comparison can be made where
transformers is not installed.
"""

from pathlib import Path
from typing import Any

import numpy as np
from transformers import BertConfig, BertModel  # pyright: ignore[reportMissingImports]

from tests.parity import texts

FIXTURE = Path(__file__).with_suffix(".npz")


def reference(
    words: int, *, width: int = 24, layers: int = 2, heads: int = 3, positions: int = 9
) -> dict[str, np.ndarray]:
    """Texts, the network's `weight/...` by their published names, and its tokens."""
    config = BertConfig(
        vocab_size=31,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=positions,
    )
    return texts.reference(BertModel(config), words, {"heads": heads})


def stored() -> dict[str, np.ndarray]:
    """What the fixture holds."""
    return reference(6)


if __name__ == "__main__":
    np.savez_compressed(FIXTURE, **dict[str, Any](stored()))
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1000:.0f} kB")
