import jax.numpy as jnp
import numpy as np

from mmjax.layers.convolution.raster import rasterise


def test_points_are_counted_and_averaged_in_their_cell():
    points = jnp.array([[[0.5, 0.5, 4.0], [0.6, 0.7, 8.0], [1.5, 0.0, 1.0], [5.0, 0.0, 1.0]]])
    grid = rasterise(points, jnp.ones((1, 4), bool), (0.0, 2.0, -1.0, 1.0), (2, 2))
    assert grid.shape == (1, 2, 2, 4)
    # Offsets from the centres (0.5, 0.5) and (1.5, 0.5) of cells of 1.
    np.testing.assert_allclose(grid[0, 0, 1], [np.log(3), 0.05, 0.1, 6.0], rtol=1e-5)
    np.testing.assert_allclose(grid[0, 1, 1], [np.log(2), 0.0, -0.5, 1.0], rtol=1e-6)
    assert not np.any(grid[0, :, 0])  # nothing is at y < 0, and one point is outside


def test_what_is_under_the_mask_is_in_no_cell():
    points = jnp.array([[[0.5, 0.5], [jnp.inf, -jnp.inf]]])
    grid = rasterise(points, jnp.array([[True, False]]), (0.0, 1.0, 0.0, 1.0), (1, 1))
    np.testing.assert_allclose(grid[0, 0, 0], [np.log(2), 0.0, 0.0], rtol=1e-6)
