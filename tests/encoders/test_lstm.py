import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import Lstm
from tests.samples import text


def tokens(module, train=False, key=0):
    given = text()
    variables = jax.jit(lambda: module.init(jax.random.key(0), *_args(given), train=False))()
    return module.apply(
        variables, *_args(given), train=train, rngs={"dropout": jax.random.key(key)}
    )


def _args(given):
    return given.values, given.mask


def test_bidirectional_states_are_twice_as_wide():
    assert tokens(Lstm(20, 6, 8, bidirectional=True)).values.shape == (4, 1, 16)


def test_a_text_of_any_length_is_read_even_none():
    module = Lstm(20, 6, 8)
    none = jnp.zeros((2, 0), jnp.int32), jnp.zeros((2, 0), bool)
    variables = module.init(jax.random.key(0), *none, train=False)
    found = module.apply(variables, *none, train=False)
    assert found.values.shape == (2, 1, 8) and not np.any(found.values) and not np.any(found.mask)


def test_dropout_acts_in_training_alone():
    module = Lstm(20, 6, 8, layers=2, dropout=0.5)
    assert np.any(tokens(module, train=True, key=1).values != tokens(module, True, 2).values)
    np.testing.assert_array_equal(tokens(module).values, tokens(module, key=2).values)


def test_no_layer_is_refused():
    with pytest.raises(ValueError, match="layers: expected at least 1, got 0"):
        tokens(Lstm(20, layers=0))
