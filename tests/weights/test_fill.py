import jax
import numpy as np
import pytest

from mmjax.weights.load import fill, renamed
from mmjax.weights.place import Place, conv_kernel, cut, first, linear_kernel

PLACES = {
    "a.weight": [Place(("params", "a", "kernel"), linear_kernel)],
    "a.bias": [Place(("batch_stats", "a", "mean"), np.negative)],
    "a.mean": [Place(("batch_stats", "a", "mean"))],
}
LIKE = {
    "params": {"a": {"kernel": np.full((3, 2), 7.0)}},
    "batch_stats": {"a": {"mean": np.full(2, 7.0)}},
}
ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.bias": np.array([1, 2], np.float32),
    "a.mean": np.array([5, 5], np.float32),
}


def without(name):
    return {n: x for n, x in ARRAYS.items() if n != name}


def test_tensors_of_one_place_are_added():
    found = fill(LIKE, ARRAYS, PLACES, "")
    np.testing.assert_array_equal(found["params"]["a"]["kernel"], ARRAYS["a.weight"].T)
    np.testing.assert_array_equal(found["batch_stats"]["a"]["mean"], [4.0, 3.0])


def test_a_tensor_goes_to_all_its_places():
    halves = [Place(("params", n), lambda x, n=n: np.split(x, 2)[int(n)]) for n in "01"]
    like = {"params": {"0": np.zeros(1), "1": np.zeros(1)}}
    found = fill(like, {"x": np.array([3, 4], np.float32)}, {"x": halves}, "")
    assert found["params"] == {"0": [3.0], "1": [4.0]}


def test_the_result_is_like_what_was_given_and_its_own():
    more = {**LIKE, "params": {**LIKE["params"], "own": np.ones(3, np.float32), "x": np.zeros(2)}}
    given = {**ARRAYS, "x": np.ones(2, np.float32)}
    found = fill(more, given, {**PLACES, "x": [Place(("params", "x"))]}, "")
    assert jax.tree.structure(found) == jax.tree.structure(more)
    np.testing.assert_array_equal(found["params"]["own"], np.ones(3))
    for leaf in jax.tree.leaves(found):
        assert leaf.dtype == np.float32 and leaf.flags.owndata and leaf.flags.c_contiguous
        leaf += 1
    assert np.all(given["x"] == 1) and np.all(more["params"]["own"] == 1)


def test_what_is_known_to_be_unused_is_passed_by():
    head = {"head.weight": np.ones(3), "head.counter": np.ones((), int)}
    fill(LIKE, {**ARRAYS, **head}, PLACES, r"head\..*")


def test_what_is_missing_or_surplus_is_named():
    wrong = {**without("a.bias"), "b.weight": np.ones(1)}
    with pytest.raises(ValueError) as raised:
        fill(LIKE, wrong, PLACES, "")
    assert str(raised.value).splitlines() == [
        "these are the weights of another architecture (1 missing, 1 surplus):",
        "  missing: a.bias",
        "  surplus: b.weight",
    ]


@pytest.mark.parametrize(
    "name, array, message",
    [
        (
            "a.weight",
            np.ones((4, 3), np.float32),
            r"a\.weight \(4, 3\) becomes \(3, 4\), expected \(3, 2\) at params/a/kernel$",
        ),
        ("a.mean", np.ones(1, np.float32), r"a\.mean \(1,\), expected \(2,\) at batch_stats/a/me"),
        ("a.mean", np.ones((), np.float32), r"a\.mean \(\), expected \(2,\)"),
        ("a.mean", np.ones(2, int), r"a\.mean is of int64, expected floating point"),
        ("a.mean", np.ones(2, bool), r"a\.mean is of bool, expected floating point"),
        ("a.mean", np.ones(2, complex), r"a\.mean is of complex128, expected floating"),
    ],
)
def test_what_does_not_fit_is_named_with_both_shapes(name, array, message):
    with pytest.raises(ValueError, match=message) as raised:
        fill(LIKE, {**ARRAYS, name: array}, PLACES, "")
    assert "(1 misshapen)" in str(raised.value)


@pytest.mark.parametrize("transform, fit", [(conv_kernel, cut), (first, cut), (np.negative, cut)])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (0, 3), (1, 2, 3)])
def test_a_tensor_with_other_axes_never_is_another_error(transform, fit, shape):
    places = {**PLACES, "x": [Place(("params", "x"), transform, fit)]}
    like = {**LIKE, "params": {**LIKE["params"], "x": np.zeros((2, 2, 2, 2))}}
    with pytest.raises(ValueError, match=r"misshapen: x \("):
        fill(like, {**ARRAYS, "x": np.ones(shape, np.float32)}, places, "")


def test_variables_of_another_encoder_are_refused():
    with pytest.raises(
        ValueError, match=r"a\.weight has no place: the encoder has no params/a/ker"
    ):
        fill({**LIKE, "params": {}}, ARRAYS, PLACES, "")


def test_a_long_list_is_cut():
    places = {f"m{n:02}": [Place(("params", "a", "kernel"))] for n in range(30)}
    surplus = {f"s{n:02}": np.ones(1, np.float32) for n in range(7)}
    with pytest.raises(ValueError) as raised:
        fill(LIKE, {**ARRAYS, **surplus}, {**PLACES, **places}, "")
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("(30 missing, 7 surplus):") and len(lines) == 13
    assert lines[5:8] == ["  missing: m04", "  missing: and 25 more", "  surplus: s00"]


KNOWN = ["a.weight", "b.LayerNorm.weight", "b.LayerNorm.bias"]


@pytest.mark.parametrize("prefix", ["", "bert.", "vit.", "transformer.", "model."])
def test_the_prefix_of_the_network_is_left_out_and_its_head_stays(prefix):
    published = [f"{prefix}{name}" for name in KNOWN]
    assert renamed([*published, "cls.weight"], KNOWN) == {
        **dict(zip(KNOWN, published, strict=True)),
        "cls.weight": "cls.weight",
    }


def test_the_first_spelling_of_a_norm_is_read():
    published = ["bert.b.LayerNorm.gamma", "bert.b.LayerNorm.beta", "layer.gamma"]
    assert renamed(published, KNOWN) == {
        "b.LayerNorm.weight": "bert.b.LayerNorm.gamma",
        "b.LayerNorm.bias": "bert.b.LayerNorm.beta",
        "layer.gamma": "layer.gamma",
    }


def test_a_tensor_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match=r"^bert\.a\.weight and a\.weight are both a\.weight$"):
        renamed(["bert.a.weight", "a.weight", "bert.b.LayerNorm.bias"], KNOWN)
    with pytest.raises(ValueError, match=r"LayerNorm\.beta are both b\.LayerNorm\.bias"):
        renamed(["b.LayerNorm.bias", "b.LayerNorm.beta"], KNOWN)
