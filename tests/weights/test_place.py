import numpy as np
import pytest

from mmjax.weights.place import Place, conv_kernel, linear_kernel, variables

PLACES = {
    "a.weight": Place(("params", "a", "kernel"), linear_kernel),
    "a.bias": Place(("batch_stats", "a", "mean"), np.negative),
    "a.mean": Place(("batch_stats", "a", "mean")),
}
ARRAYS = {
    "a.weight": np.arange(6.0).reshape(2, 3),
    "a.bias": np.array([1.0, 2.0]),
    "a.mean": np.array([5.0, 5.0]),
}


def test_tensors_of_one_place_are_added():
    found = variables(ARRAYS, PLACES, "")
    np.testing.assert_array_equal(found["params"]["a"]["kernel"], ARRAYS["a.weight"].T)
    np.testing.assert_array_equal(found["batch_stats"]["a"]["mean"], [4.0, 3.0])


def test_a_kernel_has_its_outputs_last():
    assert conv_kernel(np.zeros((5, 2, 3, 4))).shape == (3, 4, 2, 5)


def test_what_is_known_to_be_unused_is_passed_by():
    head = {"head.weight": np.ones(3), "head.counter": np.ones(())}
    assert set(variables({**ARRAYS, **head}, PLACES, r"head\..*")["params"]) == {"a"}


def test_what_is_missing_or_surplus_is_named():
    wrong = {name: x for name, x in ARRAYS.items() if name != "a.bias"} | {"b.weight": np.ones(1)}
    with pytest.raises(ValueError, match=r"missing: a\.bias; surplus: b\.weight"):
        variables(wrong, PLACES, "")
    with pytest.raises(ValueError, match=r"missing: none; surplus: x$"):
        variables({**ARRAYS, "x": np.ones(1)}, PLACES, "")
