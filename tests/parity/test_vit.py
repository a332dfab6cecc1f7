from pathlib import Path

import numpy as np
import pytest

from mmjax.encoders.vit import Vit
from tests.parity.closeness import assert_close
from tests.parity.encoded import compare

_FIXTURE = Path(__file__).with_name("vit.npz")
_WHY = "transformers is not installed: only the stored vit.npz is compared (pip install it)"


def _compare(theirs):
    names = [name for name in theirs if name.endswith("layernorm_before.weight")]
    encoder = Vit(
        patch=int(theirs["patch"]),
        width=theirs["eval"].shape[-1],
        layers=len(names),
        heads=int(theirs["heads"]),
        epsilon=1e-12,
    )
    return compare(encoder, theirs)


def test_the_stored_network_of_transformers_has_our_tokens():
    with np.load(_FIXTURE) as stored:
        _compare(dict(stored))


@pytest.mark.parametrize("size, patch", [((32, 32), 8), ((16, 32), 16), ((33, 70), 32)])
def test_a_network_of_transformers_has_our_tokens(size, patch):
    pytest.importorskip("transformers", reason=_WHY)
    from tests.parity.vit import reference

    _compare(reference(size, patch, layers=3))


def test_the_stored_network_is_the_one_that_vit_py_writes():
    pytest.importorskip("transformers", reason=_WHY)
    from tests.parity.vit import stored

    with np.load(_FIXTURE) as found:
        assert_close(dict(found), stored())
    assert _FIXTURE.stat().st_size < 150_000
