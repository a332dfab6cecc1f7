"""torchvision's ResNet: https://github.com/pytorch/vision, torchvision/models/resnet.py."""

from collections.abc import Sequence

from mmjax.weights.place import Place, batch_norm, conv_kernel

# The classifier, and counters that nothing reads.
UNUSED = r"fc\.(weight|bias)|.*\.num_batches_tracked"


def places(blocks: Sequence[int], bottleneck: bool) -> dict[str, Place]:
    """Of a network with so many blocks in each stage, normalised over the batch."""
    found = _conv_norm("conv1", "bn1", ("conv1",), ("norm1",))
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            theirs, ours = f"layer{stage}.{block}", f"stage{stage}_{block}"
            for n in range(1, 4 if bottleneck else 3):
                found |= _conv_norm(
                    f"{theirs}.conv{n}", f"{theirs}.bn{n}", (ours, f"conv{n}"), (ours, f"norm{n}")
                )
            if block == 0 and (stage > 1 or bottleneck):
                shortcut = f"{theirs}.downsample"
                found |= _conv_norm(
                    f"{shortcut}.0", f"{shortcut}.1", (ours, "shortcut"), (ours, "shortcut_norm")
                )
    return found


def _conv_norm(
    conv: str, norm: str, conv_path: tuple[str, ...], norm_path: tuple[str, ...]
) -> dict[str, Place]:
    kernel = Place(("params", *conv_path, "kernel"), conv_kernel)
    return {f"{conv}.weight": kernel, **batch_norm(norm, *norm_path)}
