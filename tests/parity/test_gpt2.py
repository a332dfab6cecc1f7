import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders.gpt2 import Gpt2
from mmjax.heads import TransformerDecoder
from mmjax.types import Tokens
from mmjax.weights.load import convert
from tests.parity.closeness import assert_close
from tests.parity.encoded import compare, folder

_FIXTURE = Path(__file__).with_name("gpt2.npz")
_WHY = "transformers is not installed: only the stored gpt2.npz is compared (pip install it)"


def _compare(theirs):
    words, width = theirs["weight/wte.weight"].shape
    encoder = Gpt2(
        vocabulary_size=words,
        positions=len(theirs["weight/wpe.weight"]),
        width=width,
        layers=sum(name.endswith(".attn.c_attn.weight") for name in theirs),
        heads=int(theirs["heads"]),
    )
    return compare(encoder, theirs)


def test_the_stored_network_of_transformers_has_our_tokens():
    with np.load(_FIXTURE) as stored:
        _compare(dict(stored))


def test_a_decoder_without_tokens_has_the_logits_of_transformers():
    with np.load(_FIXTURE) as stored:
        theirs = dict(stored)
    table = theirs["weight/wte.weight"]
    decoder = TransformerDecoder(
        vocabulary_size=len(table),
        positions=len(theirs["weight/wpe.weight"]),
        length=2,
        width=table.shape[1],
        layers=sum(name.endswith(".attn.c_attn.weight") for name in theirs),
        heads=int(theirs["heads"]),
        context="prefix",
    )
    words = jnp.asarray(theirs["word"], jnp.int32)
    nothing = Tokens(jnp.zeros((len(words), 1, 5)), jnp.zeros((len(words), 1), bool))
    start = functools.partial(decoder.init, jax.random.key(0), train=False)
    shapes = dict(jax.eval_shape(start, nothing))
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), shapes)
    variables = convert(decoder, folder(theirs, "weight/"), zeros)
    logits = decoder.apply(variables, nothing, words, False, method="logits")
    seen = theirs["mask"]
    np.testing.assert_allclose(
        np.asarray(logits)[seen], (theirs["eval"] @ table.T)[seen], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    "words, width, layers, heads", [(1, 8, 1, 1), (7, 32, 3, 8), (12, 128, 2, 2)]
)
def test_a_network_of_transformers_has_our_tokens(words, width, layers, heads):
    pytest.importorskip("transformers", reason=_WHY)
    from tests.parity.gpt2 import reference

    _compare(reference(words, width=width, layers=layers, heads=heads, positions=12))


def test_the_stored_network_is_the_one_that_gpt2_py_writes():
    pytest.importorskip("transformers", reason=_WHY)
    from tests.parity.gpt2 import stored

    with np.load(_FIXTURE) as found:
        assert_close(dict(found), stored())
    assert _FIXTURE.stat().st_size < 150_000
