import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import FtTransformer, TableMlp
from tests.encoders.shapes import tokens_of
from tests.samples import CATEGORIES, table

MODULES = [TableMlp(8, (6,), CATEGORIES, 4), FtTransformer(8, 1, 2, CATEGORIES)]


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_an_unknown_category_and_an_empty_cell_are_the_same(module):
    given = table()
    variables = jax.jit(lambda: module.init(jax.random.key(0), *_args(given), train=False))()
    unknown = module.apply(variables, *_args(given), train=False)  # in row 3, column 1
    empty = module.apply(variables, given.values, given.mask.at[3, 1].set(False), train=False)
    np.testing.assert_array_equal(unknown.values, empty.values)
    np.testing.assert_array_equal(unknown.mask, empty.mask)


def test_that_a_number_is_missing_is_not_that_it_is_zero():
    module, values = TableMlp(8, (6,)), jnp.zeros((2, 3))
    mask = jnp.array([[True, True, True], [True, False, True]])
    variables = module.init(jax.random.key(0), values, mask, train=False)
    zero, missing = module.apply(variables, values, mask, train=False).values
    assert np.any(zero != missing)


@pytest.mark.parametrize("categories", [(), (0, 0, 0), (2, 3, 4), (0, 5, 0)])
def test_columns_of_one_kind_or_of_both(categories):
    assert tokens_of(TableMlp(categories=categories), 3).values.shape == (2, 1, 64)
    assert tokens_of(FtTransformer(categories=categories), 3).values.shape == (2, 4, 64)


def test_an_all_missing_column_is_legal():
    given = table()
    mask = given.mask.at[:, 2].set(False)
    for module in MODULES:
        variables = module.init(jax.random.key(0), given.values, mask, train=False)
        assert np.all(np.isfinite(module.apply(variables, given.values, mask, train=False).values))


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_another_number_of_columns_is_refused(module):
    with pytest.raises(ValueError, match="categories: expected 5 numbers of 0 or more"):
        tokens_of(module, 5)


def _args(given):
    return given.values, given.mask
