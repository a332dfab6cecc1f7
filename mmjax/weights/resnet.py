"""torchvision's ResNet: https://github.com/pytorch/vision, torchvision/models/resnet.py.

Files of timm have the same names: https://github.com/huggingface/pytorch-image-models.
"""

from mmjax.encoders.resnet import BLOCKS, ResNet
from mmjax.weights.place import Place, Places, batch_norm, conv_kernel, layer_norm

# The classifier, and counters.
UNUSED = r"(head\.)?fc\.(weight|bias)|.*\.num_batches_tracked"


def places(encoder: ResNet) -> Places:
    """The places for a network of the same depth and norm."""
    normed = batch_norm if encoder.norm == "batch" else layer_norm
    bottleneck = encoder.depth >= 50

    def conv_norm(conv: str, norm: str, conv_path: tuple[str, ...], norm_path: tuple[str, ...]):
        kernel = Place(("params", *conv_path, "kernel"), conv_kernel)
        return {f"{conv}.weight": [kernel], **normed(norm, *norm_path)}

    result = conv_norm("conv1", "bn1", ("conv1",), ("norm1",))
    for stage, count in enumerate(BLOCKS[encoder.depth], start=1):
        for block in range(count):
            theirs, ours = f"layer{stage}.{block}", f"stage{stage}_{block}"
            for n in range(1, 4 if bottleneck else 3):
                result |= conv_norm(
                    f"{theirs}.conv{n}", f"{theirs}.bn{n}", (ours, f"conv{n}"), (ours, f"norm{n}")
                )
            if block == 0 and (stage > 1 or bottleneck):
                shortcut = f"{theirs}.downsample"
                result |= conv_norm(
                    f"{shortcut}.0", f"{shortcut}.1", (ours, "shortcut"), (ours, "shortcut_norm")
                )
    return result
