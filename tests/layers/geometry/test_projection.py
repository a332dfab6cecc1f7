import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import LiftedCamera
from mmjax.layers.geometry import projection
from mmjax.layers.geometry.projection import camera, cell_centres, project, sample, visible


def test_places_are_projected_as_by_hand():
    # 2 m above the ground, focal length 100 pixels, straight ahead at column 50, row 40.
    matrix = camera(100.0, (50.0, 40.0), position=(1.0, 0.0, 2.0))
    places = np.array([[11.0, 0, 2], [11, 2, 2], [11, 0, 0], [21, -2, 0], [-9, 0, 2]])
    seen = project(places, matrix)
    # 10 m ahead: 2 m to the left are 20 pixels to the left, 2 m down are 20 rows down.
    expected = [[50, 40], [30, 40], [50, 60], [60, 50], [-1, -1]]
    np.testing.assert_allclose(seen.pixels, expected, atol=1e-9)
    np.testing.assert_allclose(seen.depth, [10, 10, 10, 20, -10])


def test_a_camera_that_looks_down_and_to_the_left_sees_what_is_there_in_its_centre():
    matrix = camera(100.0, (50.0, 40.0), pitch=np.pi / 4)
    np.testing.assert_allclose(project(np.array([[5.0, 0, -5]]), matrix).pixels, [[50, 40]])
    matrix = camera(100.0, (50.0, 40.0), yaw=np.pi / 2)
    seen = project(np.array([[0.0, 7, 0], [1, 10, 0]]), matrix)
    np.testing.assert_allclose(seen.pixels, [[50, 40], [60, 40]], atol=1e-9)  # forward is right
    np.testing.assert_allclose(seen.depth, [7, 10])


def test_cells_are_counted_along_x_then_y():
    centres = cell_centres((0.0, 4.0, -3.0, 3.0), (2, 3), 0.5)
    assert centres.tolist() == [[x, y, 0.5] for x in (1.0, 3.0) for y in (-2.0, 0.0, 2.0)]


@pytest.mark.parametrize("dense", [0, 1000])
def test_a_picture_is_interpolated_between_pixels_and_zero_outside(dense, monkeypatch):
    monkeypatch.setattr(projection, "_DENSE", dense)
    image = jnp.arange(6, dtype=jnp.float32).reshape(1, 2, 3, 1) + 10
    pixels = np.array([[0, 0], [2, 1], [0.5, 0], [1, 0.25], [2.1, 0], [-0.1, 0]])
    assert visible(pixels, (2, 3)).tolist() == [True] * 4 + [False] * 2
    found = sample(image, pixels)[0, :, 0]
    np.testing.assert_allclose(found, [10, 15, 10.5, 11.75, 0, 0])


def test_a_cell_of_the_lifted_camera_reads_the_pixels_where_it_appears():
    matrix = camera(20.0, (15.5, 7.5), position=(0.0, 0.0, 2.0))
    module = LiftedCamera(
        tuple(matrix.ravel().tolist()), (16, 32), (4.0, 12.0, -4.0, 4.0), (4, 4), (0.0,), (3,), 6
    )
    place = cell_centres(module.extent, module.cells, 0.0)
    column, row = np.rint(project(place, matrix).pixels[9]).astype(int)
    mask = jnp.ones(1, bool)
    black = np.zeros((1, 16, 32, 1), np.float32)
    dotted = black.copy()
    dotted[0, row, column] = 1
    variables = jax.jit(lambda: module.init(jax.random.key(0), black, mask, train=False))()
    a, b = (module.apply(variables, x, mask, train=False).values for x in (black, dotted))
    changed = np.any(np.abs(a - b) > 1e-6, axis=(0, 2))
    assert changed[9] and changed.sum() <= 4  # itself, and neighbours of the picture


def test_a_camera_that_sees_nothing_of_the_grid_is_refused():
    matrix = camera(20.0, (15.5, 7.5), yaw=np.pi)
    module = LiftedCamera(tuple(matrix.ravel().tolist()), (16, 32))
    with pytest.raises(ValueError, match="the camera sees none of the cells"):
        module.init(jax.random.key(0), jnp.zeros((1, 16, 32, 3)), jnp.ones(1, bool), train=False)
