"""What is computed of the pixels, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders.hog import Hog, descriptors


def parts(images, cells=2, bins=4):
    """(means `[cell, channel]`, histograms `[cell, bin]`) of the first image."""
    found = np.asarray(descriptors(jnp.asarray(images, jnp.float32), cells, bins))[0]
    each = found.reshape(cells * cells, -1)
    return each[:, : images.shape[-1]], each[:, images.shape[-1] :]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("down", "right", "bin_of"), [(0, 1, 0), (1, 0, 2), (1, 1, 1), (-1, 1, 3)])
def test_a_ramp_is_in_the_bin_of_its_direction_whichever_way_it_goes(down, right, bin_of, sign):
    y, x = np.mgrid[:8, :8]
    ramp = sign * (down * y + right * x)[None, :, :, None].astype(np.float32)
    for strength in (1.0, 0.2):
        _, histograms = parts(strength * ramp)
        np.testing.assert_allclose(histograms, np.tile(np.eye(4)[bin_of], (4, 1)), atol=1e-4)


def test_cells_have_the_mean_of_each_channel_whatever_the_size():
    images = np.random.default_rng(0).normal(size=(1, 5, 7, 3))
    means, histograms = parts(images)
    # Pixel p of n is in cell floor(2 p / n): 3 and 2 rows, 4 and 3 columns.
    rows, columns = (slice(0, 3), slice(3, 5)), (slice(0, 4), slice(4, 7))
    expected = [images[0, row, column].mean(axis=(0, 1)) for row in rows for column in columns]
    np.testing.assert_allclose(means, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(histograms, axis=1), 1, atol=1e-5)


def test_a_flat_image_has_no_direction_and_finite_gradients():
    flat = jnp.full((1, 6, 6, 1), 0.5)
    _, histograms = parts(flat)
    assert np.abs(histograms).max() < 0.01
    slope = jax.grad(lambda images: jnp.sum(jnp.square(descriptors(images, 2, 4))))(flat)
    assert np.isfinite(slope).all()


def test_an_image_with_fewer_pixels_than_cells_is_refused():
    with pytest.raises(ValueError, match="hog: an image must be at least 4x4 pixels, got 3x9"):
        Hog().init(jax.random.key(0), jnp.ones((1, 3, 9, 1)), jnp.ones(1, bool), False)
