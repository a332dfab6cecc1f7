"""transformers' ViTModel of a small configuration, with the tensors of a file that it writes.

`python -m tests.parity.vit` writes vit.npz: a small one, so that the comparison can be made where
transformers is not installed.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from safetensors.numpy import load_file  # pyright: ignore[reportMissingImports]
from transformers import ViTConfig, ViTModel  # pyright: ignore[reportMissingImports]

from tests.parity.images import image, randomise

FIXTURE = Path(__file__).with_suffix(".npz")


def reference(
    size: tuple[int, int], patch: int, *, width: int = 24, layers: int = 2, heads: int = 3
) -> dict[str, np.ndarray]:
    """Images, the network's `weight/...` by their published names, and its tokens."""
    config = ViTConfig(
        image_size=size,  # pyright: ignore[reportArgumentType]  # a pair is taken
        patch_size=patch,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )
    network = ViTModel(config).eval()
    randomise(network, 0)
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        weights = load_file(Path(folder) / "model.safetensors")
    x = image(size, 0)
    with torch.no_grad():
        found = network(torch.from_numpy(x).permute(0, 3, 1, 2)).last_hidden_state
    return {
        "image": x,
        "eval": found.numpy(),
        "heads": np.array(heads),
        "patch": np.array(patch),
        **{f"weight/{name}": values for name, values in weights.items()},
    }


def stored() -> dict[str, np.ndarray]:
    """What the fixture holds."""
    return reference((13, 20), 4)


if __name__ == "__main__":
    np.savez_compressed(FIXTURE, **dict[str, Any](stored()))
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1000:.0f} kB")
