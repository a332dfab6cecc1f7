"""transformers' GPT2Model of a small configuration, with the tensors of a file that it writes.

`python -m tests.parity.gpt2` writes gpt2.npz: a small one, so that the comparison can be made where
transformers is not installed.
"""

from pathlib import Path
from typing import Any

import numpy as np
from transformers import GPT2Config, GPT2Model  # pyright: ignore[reportMissingImports]

from tests.parity import texts

FIXTURE = Path(__file__).with_suffix(".npz")


def reference(
    words: int, *, width: int = 24, layers: int = 2, heads: int = 3, positions: int = 9
) -> dict[str, np.ndarray]:
    """Texts, the network's `weight/...` by their published names, and its tokens."""
    config = GPT2Config(
        vocab_size=31,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        n_positions=positions,
        bos_token_id=0,
        eos_token_id=0,
    )
    return texts.reference(GPT2Model(config), words, {"heads": heads})


def stored() -> dict[str, np.ndarray]:
    """What the fixture holds."""
    return reference(6)


if __name__ == "__main__":
    np.savez_compressed(FIXTURE, **dict[str, Any](stored()))
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1000:.0f} kB")
