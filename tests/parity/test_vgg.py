from pathlib import Path

import numpy as np
import pytest

from mmjax.encoders.vgg import Vgg
from tests.parity.closeness import assert_close
from tests.parity.encoded import compare

_FIXTURE = Path(__file__).with_name("vgg.npz")
_WHY = "PyTorch is not installed: only the stored vgg.npz is compared (pip install torch)"


def test_the_stored_network_of_pytorch_has_our_tokens_and_statistics():
    with np.load(_FIXTURE) as stored:
        compare(Vgg(11, width=2), dict(stored))


@pytest.mark.parametrize("batch_norm", [True, False], ids=["normed", "plain"])
@pytest.mark.parametrize("depth, size", [(11, (64, 70)), (16, (65, 64)), (19, (96, 64))])
def test_a_network_of_torchvision_has_our_tokens_and_statistics(depth, size, batch_norm):
    pytest.importorskip("torch", reason=_WHY)
    from tests.parity import images, vgg

    theirs = images.reference(vgg.Vgg(depth, 4, batch_norm), size)
    errors = compare(Vgg(depth, batch_norm, width=4), theirs)
    assert ("statistics" in errors) == batch_norm


def test_the_stored_network_is_the_one_that_vgg_py_writes():
    pytest.importorskip("torch", reason=_WHY)
    from tests.parity.vgg import stored

    with np.load(_FIXTURE) as found:
        theirs = {name: x for name, x in stored().items() if "num_batches" not in name}
        assert_close({name: found[name] for name in theirs}, theirs)
    assert _FIXTURE.stat().st_size < 150_000
