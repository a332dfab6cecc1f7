from pathlib import Path

import numpy as np
import pytest

from mmjax.encoders.resnet import ResNet
from tests.parity.closeness import assert_close
from tests.parity.encoded import compare

_FIXTURE = Path(__file__).with_name("resnet.npz")
_WHY = "PyTorch is not installed: only the stored resnet.npz is compared (pip install torch)"


def test_the_stored_network_of_pytorch_has_our_tokens_and_statistics():
    with np.load(_FIXTURE) as stored:
        compare(ResNet(18, width=2), dict(stored))


@pytest.mark.parametrize(
    "encoder, size",
    [
        (ResNet(18, width=4), (64, 70)),
        (ResNet(18, width=4, small_images=True), (17, 24)),
        (ResNet(34, width=4), (65, 96)),
        (ResNet(50, width=4), (64, 97)),
        pytest.param(ResNet(101, width=2), (64, 64), marks=pytest.mark.slow),
    ],
    ids=lambda x: f"{x.depth}-{x.small_images}" if isinstance(x, ResNet) else "x".join(map(str, x)),
)
def test_a_network_of_torchvision_has_our_tokens_and_statistics(encoder, size):
    pytest.importorskip("torch", reason=_WHY)
    from tests.parity import images, resnet

    network = resnet.ResNet(encoder.depth, encoder.width, encoder.small_images)
    theirs = images.reference(network, size)
    if encoder.depth == 101:  # PyTorch's own rounding: its float32 is 3e-4 from its float64
        del theirs["train"]
    errors = compare(encoder, theirs)
    assert errors.keys() >= {"eval", "seen", "statistics"}


@pytest.mark.parametrize("depth, width", [(18, 32), (50, 4)])
def test_a_network_with_groups_of_channels_has_our_tokens(depth, width):
    pytest.importorskip("torch", reason=_WHY)
    from tests.parity import images, resnet

    network = resnet.ResNet(depth, width, norm=resnet.group_norm)
    compare(ResNet(depth, "group", width=width), images.reference(network, (64, 64)))


def test_the_stored_network_is_the_one_that_resnet_py_writes():
    pytest.importorskip("torch", reason=_WHY)
    from tests.parity.resnet import stored

    with np.load(_FIXTURE) as found:
        theirs = {name: x for name, x in stored().items() if "num_batches" not in name}
        assert_close({name: found[name] for name in theirs}, theirs)
    assert _FIXTURE.stat().st_size < 150_000
