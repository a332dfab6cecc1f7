import numpy as np
import pytest

from mmjax.encoders.vit import Vit
from mmjax.weights.load import load
from mmjax.weights.vit import resized
from tests.weights.test_load import fresh, published, saved


def plane(side, width=3):
    """A class token, and places of patches that say in which row and column they are, 0 to 1."""
    centre = (np.arange(side) + 0.5) / side
    rows, columns = np.meshgrid(centre, centre, indexing="ij")
    grid = np.stack([rows, columns, np.ones_like(rows)][:width], axis=-1)
    return np.concatenate([np.full((1, width), 9.0), grid.reshape(-1, width)]).astype(np.float32)


@pytest.mark.parametrize("old, new", [(4, 8), (7, 5), (1, 3)])
def test_positions_are_resized_in_both_directions_and_the_class_stays(old, new):
    found, expected = resized(plane(old), (new**2 + 1, 3)), plane(new)
    np.testing.assert_array_equal(found[0], expected[0])
    if old > 1:  # but at the edges, where there is nothing to go by on one side
        inner = slice(1, -1)
        shape = (new, new, 3)
        np.testing.assert_allclose(
            found[1:].reshape(shape)[inner, inner],
            expected[1:].reshape(shape)[inner, inner],
            atol=0.06,
        )
    np.testing.assert_allclose(found[:, 2], expected[:, 2], rtol=1e-5)


def test_as_many_positions_stay_as_they_are():
    table = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    np.testing.assert_array_equal(resized(table, (16, 3)), table)


@pytest.mark.parametrize("old, new", [(16, 10), (10, 16), (1, 10), (0, 10)])
def test_only_a_square_is_resized_to_a_square(old, new):
    with pytest.raises(ValueError, match=rf"of {old - 1} patches can be resized to {new - 1} only"):
        resized(np.zeros((old, 3), np.float32), (new, 3))


def test_an_encoder_of_larger_images_takes_the_same_file(tmp_path):
    tensors = published("vit")
    tensors["embeddings.position_embeddings"] = plane(3, 3).repeat(8, axis=1)[None]
    encoder = Vit(patch=4, width=24, layers=2, heads=3)
    like = fresh(encoder, np.zeros((1, 20, 20, 3), np.float32), np.ones(1, bool))
    found = load(encoder, saved(tmp_path, tensors), like)["params"]["position"]
    np.testing.assert_array_equal(found, resized(plane(3, 3).repeat(8, axis=1), (26, 24)))
