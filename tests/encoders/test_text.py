import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import BagOfWords, Bert, Gru, Lstm
from tests.samples import text


@pytest.mark.parametrize(
    "module", [BagOfWords(20, 8, "none"), Gru(20, 6, 8), Lstm(20, 6, 8)], ids=repr
)
def test_an_id_beyond_the_vocabulary_is_no_word(module):
    given = text()
    variables = jax.jit(lambda: module.init(jax.random.key(0), *_args(given), train=False))()
    known = module.apply(variables, *_args(given), train=False)
    for unknown in (20, -1, 2**31 - 1):
        values = given.values.at[:, 1].set(unknown)
        found = module.apply(variables, values, given.mask, train=False)
        hidden = module.apply(variables, given.values, given.mask.at[:, 1].set(False), train=False)
        np.testing.assert_array_equal(found.mask, hidden.mask)
        np.testing.assert_array_equal(found.values, hidden.values)
        assert np.all(np.isfinite(found.values)) and np.any(found.values != known.values)


def test_a_bag_has_no_order_and_is_the_mean():
    ids, mask = jnp.array([[1, 2, 3], [3, 1, 2]]), jnp.ones((2, 3), bool)
    module = BagOfWords(5, 4)
    variables = module.init(jax.random.key(0), ids, mask, train=False)
    found = module.apply(variables, ids, mask, train=False).values
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    table = variables["params"]["embedding"]["embedding"]
    np.testing.assert_allclose(found[0, 0], table[1:4].mean(axis=0), rtol=1e-6)


def _args(given):
    return given.values, given.mask


@pytest.mark.parametrize("pooling", ["first", "mean", "none"])
def test_a_batch_of_texts_without_any_word_is_read(pooling):
    module = Bert(vocabulary_size=9, positions=4, width=4, layers=1, heads=1, pooling=pooling)
    one = jnp.ones((2, 1), jnp.int32), jnp.ones((2, 1), bool)
    variables = module.init(jax.random.key(0), *one, train=False)
    none = jnp.zeros((2, 0), jnp.int32), jnp.zeros((2, 0), bool)
    found = module.apply(variables, *none, train=False)
    assert not np.any(found.mask) and not np.any(found.values)
