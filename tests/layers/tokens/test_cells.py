import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.tokens.cells import CellEmbedding

MODULE = CellEmbedding((2, 0, 3), 4)


def cells(values, mask=None):
    values = jnp.asarray(values, jnp.float32)
    mask = jnp.ones(values.shape, bool) if mask is None else jnp.asarray(mask)
    variables = MODULE.init(jax.random.key(0), values, mask)
    return variables["params"]["categories"]["embedding"], MODULE.apply(variables, values, mask)


def test_every_category_of_every_column_has_a_row_of_its_own():
    table, found = cells([[0, 0.5, 0], [1, 0.5, 2]])
    assert table.shape == (5, 4)
    np.testing.assert_array_equal(found.categories[0], table[jnp.array([0, 2])])
    np.testing.assert_array_equal(found.categories[1], table[jnp.array([1, 4])])
    np.testing.assert_array_equal(found.numbers[:, 0], 0.5)


@pytest.mark.parametrize("unknown", [2, -1, 1e9, jnp.inf])
def test_an_unknown_category_is_an_empty_cell(unknown):
    _, found = cells([[unknown, 0.5, 1]])
    np.testing.assert_array_equal(found.mask, [[True, False, True]])  # numbers come first
    assert not np.any(found.categories[0, 0]) and np.any(found.categories[0, 1])


def test_categories_that_do_not_fit_the_columns_are_refused():
    with pytest.raises(ValueError, match=r"expected 2 numbers of 0 or more.*got \(2, 0, 3\)"):
        cells([[1, 2]])
    wrong = CellEmbedding((-1,), 4)
    with pytest.raises(ValueError, match="expected 1 numbers of 0 or more"):
        wrong.init(jax.random.key(0), jnp.zeros((1, 1)), jnp.ones((1, 1), bool))
