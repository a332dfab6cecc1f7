"""torchvision's VGG: https://github.com/pytorch/vision, torchvision/models/vgg.py."""

from collections.abc import Sequence

import numpy as np

from mmjax.weights.place import Place, batch_norm, conv_kernel

# The classifier, and counters that nothing reads.
UNUSED = r"classifier\.\d+\.(weight|bias)|.*\.num_batches_tracked"


def places(convolutions: Sequence[int], normed: bool) -> dict[str, Place]:
    """Of a network with so many convolutions in each stage, with BatchNorm or without.

    Theirs are numbered through: convolution, (BatchNorm,) ReLU, and a pool after each stage.
    """
    found, number = {}, 0
    for stage, count in enumerate(convolutions, start=1):
        for place in range(count):
            theirs, ours = f"features.{number}", f"conv{stage}_{place}"
            found[f"{theirs}.weight"] = Place(("params", ours, "kernel"), conv_kernel)
            if normed:
                norm = f"norm{stage}_{place}"
                found |= batch_norm(f"features.{number + 1}", norm)
                # Normalising x + b by a mean m is normalising x by m - b.
                found[f"{theirs}.bias"] = Place(("batch_stats", norm, "mean"), np.negative)
            else:
                found[f"{theirs}.bias"] = Place(("params", ours, "bias"))
            number += 3 if normed else 2
        number += 1
    return found
