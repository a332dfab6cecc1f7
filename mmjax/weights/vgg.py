"""torchvision's VGG: https://github.com/pytorch/vision, torchvision/models/vgg.py.

Files of timm have the same names, except for the classifier:
https://github.com/huggingface/pytorch-image-models, timm/models/vgg.py.
"""

import numpy as np

from mmjax.encoders.vgg import CONVOLUTIONS, Vgg
from mmjax.weights.place import Place, Places, batch_norm, conv_kernel

# The classifier, and counters.
UNUSED = (
    r"classifier\.\d+\.(weight|bias)|(pre_logits\.fc[12]|head\.fc)\.(weight|bias)"
    r"|.*\.num_batches_tracked"
)


def places(encoder: Vgg) -> Places:
    """The places for a network of the same depth, with BatchNorm or without.

    Published layers are numbered: convolution, (BatchNorm,) ReLU, and a pool after each stage.
    """
    result: Places = {}
    number = 0
    for stage, count in enumerate(CONVOLUTIONS[encoder.depth], start=1):
        for place in range(count):
            theirs, ours = f"features.{number}", f"conv{stage}_{place}"
            result[f"{theirs}.weight"] = [Place(("params", ours, "kernel"), conv_kernel)]
            if encoder.batch_norm:
                norm = f"norm{stage}_{place}"
                result |= batch_norm(f"features.{number + 1}", norm)
                # Normalising x + b by a mean m is normalising x by m - b.
                result[f"{theirs}.bias"] = [Place(("batch_stats", norm, "mean"), np.negative)]
            else:
                result[f"{theirs}.bias"] = [Place(("params", ours, "bias"))]
            number += 3 if encoder.batch_norm else 2
        number += 1
    return result
