import jax
import jax.numpy as jnp
import numpy as np

from mmjax.layers.tokens.word_embedding import WordEmbedding

IDS = jnp.array([[0, 4, 5, -1, 2**31 - 1, 2], [3, 0, 0, 0, 0, 0]], jnp.int32)
MASK = jnp.array([[1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]], bool)


def test_an_id_that_is_no_word_is_masked_and_gets_nothing():
    module = WordEmbedding(5, 3)
    variables = module.init(jax.random.key(0), IDS, MASK)
    words = module.apply(variables, IDS, MASK)
    np.testing.assert_array_equal(words.mask, [[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    assert not np.any(words.values[~words.mask])
    np.testing.assert_array_equal(words.values[0, 1], variables["params"]["embedding"][4])

    def loss(variables):
        return jnp.sum(module.apply(variables, IDS, MASK).values)

    gradient = jax.grad(loss)(variables)["params"]["embedding"]
    np.testing.assert_array_equal(gradient[:, 0], [1, 0, 0, 0, 1])


def test_fresh_entries_are_as_large_as_asked():
    for scale, expected in ((None, 0.1), (0.02, 0.02)):
        module = WordEmbedding(1000, 100, scale)
        table = module.init(jax.random.key(0), IDS, MASK)["params"]["embedding"]
        np.testing.assert_allclose(np.std(table), expected, rtol=0.02)
