from pathlib import Path

import numpy as np
import pytest

from mmjax.encoders.bert import Bert
from tests.parity.closeness import assert_close
from tests.parity.encoded import compare

_FIXTURE = Path(__file__).with_name("bert.npz")
_WHY = "transformers is not installed: only the stored bert.npz is compared (pip install it)"


def _compare(theirs):
    words, width = theirs["weight/embeddings.word_embeddings.weight"].shape
    encoder = Bert(
        vocabulary_size=words,
        positions=len(theirs["weight/embeddings.position_embeddings.weight"]),
        width=width,
        layers=sum(name.endswith(".intermediate.dense.weight") for name in theirs),
        heads=int(theirs["heads"]),
    )
    return compare(encoder, theirs)


def test_the_stored_network_of_transformers_has_our_tokens():
    with np.load(_FIXTURE) as stored:
        _compare(dict(stored))


@pytest.mark.parametrize(
    "words, width, layers, heads", [(1, 8, 1, 1), (7, 32, 3, 8), (12, 128, 2, 2)]
)
def test_a_network_of_transformers_has_our_tokens(words, width, layers, heads):
    pytest.importorskip("transformers", reason=_WHY)
    from tests.parity.bert import reference

    _compare(reference(words, width=width, layers=layers, heads=heads, positions=12))


def test_the_stored_network_is_the_one_that_bert_py_writes():
    pytest.importorskip("transformers", reason=_WHY)
    from tests.parity.bert import stored

    with np.load(_FIXTURE) as found:
        assert_close(dict(found), stored())
    assert _FIXTURE.stat().st_size < 150_000
