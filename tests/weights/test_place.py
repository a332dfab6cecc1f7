import numpy as np
import pytest

from mmjax.weights.place import batch_norm, conv_kernel, cut, linear, linear_kernel


def test_a_kernel_has_its_outputs_last():
    assert conv_kernel(np.zeros((5, 2, 3, 4))).shape == (3, 4, 2, 5)
    assert linear_kernel(np.zeros((5, 2))).shape == (2, 5)


def test_a_longer_table_is_cut_and_a_shorter_one_is_not_made_longer():
    np.testing.assert_array_equal(
        cut(np.arange(6).reshape(3, 2) + 0.5, (2, 2)), [[0.5, 1.5], [2.5, 3.5]]
    )
    assert cut(np.ones((3, 2)), (5, 2)).shape == (3, 2)


@pytest.mark.parametrize(
    "places, paths",
    [
        (linear("a", "b"), ["params/b/kernel", "params/b/bias"]),
        (linear("a", "b", bias=False), ["params/b/kernel"]),
        (
            batch_norm("a", "b", "c"),
            [
                "params/b/c/scale",
                "params/b/c/bias",
                "batch_stats/b/c/mean",
                "batch_stats/b/c/variance",
            ],
        ),
    ],
)
def test_a_layer_of_torch_goes_to_one_of_ours(places, paths):
    assert ["/".join(place.path) for found in places.values() for place in found] == paths
