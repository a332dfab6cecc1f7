import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.tokens.intervals import with_intervals


def test_an_interval_leads_back_to_the_token_before_that_is_there():
    values = jnp.array([[[0.0, 5.0], [1.0, 6.0], [9.0, 9.0], [4.0, 7.0]]])
    mask = jnp.array([[True, True, False, True]])
    found = with_intervals(values, mask, 0)
    np.testing.assert_allclose(found[0, :, 2], np.log1p([0, 1, 0, 3]), rtol=1e-6)
    np.testing.assert_array_equal(found[0, 2], 0)


def test_the_first_token_has_no_interval_wherever_it_stands():
    values, mask = jnp.array([[[7.0], [8.0], [9.0]]]), jnp.array([[False, True, True]])
    np.testing.assert_allclose(with_intervals(values, mask, 0)[0, :, 1], [0, 0, np.log(2)])


def test_without_a_channel_of_time_nothing_is_added():
    values = jnp.ones((1, 2, 3))
    np.testing.assert_array_equal(with_intervals(values, jnp.ones((1, 2), bool), None), values)


@pytest.mark.parametrize("channel", [-1, 3])
def test_a_channel_that_there_is_not_is_refused(channel):
    with pytest.raises(ValueError, match=f"time={channel}: expected one of the channels 0 to 2"):
        with_intervals(jnp.ones((1, 2, 3)), jnp.ones((1, 2), bool), channel)
