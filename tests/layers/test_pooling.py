import jax.numpy as jnp
import numpy as np

from mmjax.layers.pooling import average_pool, masked_mean


def test_masked_mean_counts_only_what_is_there():
    values = jnp.array([[[1.0], [3.0], [1e30]], [[7.0], [1e30], [1e30]], [[1e30]] * 3])
    mask = jnp.array([[True, True, False], [True, False, False], [False] * 3])
    np.testing.assert_array_equal(masked_mean(values, mask), [[2.0], [7.0], [0.0]])


def test_average_pool_is_the_mean_of_blocks_and_leaves_out_what_fills_none():
    image = jnp.arange(25.0).reshape(1, 5, 5, 1)
    np.testing.assert_array_equal(average_pool(image, 2)[0, :, :, 0], [[3.0, 5.0], [13.0, 15.0]])
