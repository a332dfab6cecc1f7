import numpy as np

from mmjax.layers.tokens.position import sinusoids


def test_places_are_told_apart_and_a_longer_sequence_does_not_move_them():
    found = sinusoids(50, 7)
    assert found.shape == (50, 7) and found.dtype == np.float32
    np.testing.assert_array_equal(sinusoids(9, 7), found[:9])
    distance = np.linalg.norm(found[:, None] - found[None], axis=-1)
    assert distance[~np.eye(50, dtype=bool)].min() > 0.1


def test_the_first_frequency_is_one_and_the_last_a_ten_thousandth():
    found = sinusoids(3, 4)
    np.testing.assert_allclose(
        found[2], [np.sin(2), np.sin(2e-4), np.cos(2), np.cos(2e-4)], rtol=1e-5
    )
