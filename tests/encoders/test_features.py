import jax
import jax.numpy as jnp
import numpy as np

from mmjax.encoders import Features
from tests import samples


def test_a_token_is_w_x_plus_b():
    given = samples.features()
    params = {"kernel": jnp.arange(12.0).reshape(3, 4), "bias": jnp.arange(4.0) + 1}
    tokens = Features(4).apply(
        {"params": {"mlp": {"Dense_0": params}}}, given.values, given.mask, train=False
    )
    expected = np.asarray(given.values) @ np.asarray(params["kernel"]) + np.asarray(params["bias"])
    expected[~np.asarray(given.mask)] = 0
    np.testing.assert_allclose(tokens.values, expected, rtol=1e-5)
    np.testing.assert_array_equal(tokens.mask, given.mask)


def test_longer_padding_adds_masked_zeros_and_changes_nothing_else():
    given = samples.features()
    variables = Features(8).init(jax.random.key(0), given.values, given.mask, train=False)
    short = Features(8).apply(variables, given.values, given.mask, train=False)
    values = jnp.pad(given.values, ((0, 0), (0, 3), (0, 0)), constant_values=1e30)
    mask = jnp.pad(given.mask, ((0, 0), (0, 3)))
    long = Features(8).apply(variables, values, mask, train=False)
    np.testing.assert_array_equal(long.values[:, :5], short.values)
    np.testing.assert_array_equal(long.mask[:, :5], short.mask)
    assert not np.any(long.values[:, 5:]) and not np.any(long.mask[:, 5:])
