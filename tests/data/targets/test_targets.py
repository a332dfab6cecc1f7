"""Kinds of targets: what people write, what objectives read, and what is wrong with a row."""

import numpy as np
import pytest

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import (
    TARGETS,
    Binary,
    Category,
    Grid,
    Group,
    MultiLabel,
    Number,
    Route,
    Survival,
    Text,
)
from mmjax.data.transforms.features import FeatureTransform
from mmjax.errors import UserError
from mmjax.io import json_file

# Of every kind: a target, rows of which the second is missing, and their values.
CASES = {
    "binary": (Binary(), [True, None, 0], [1, 0, 0]),
    "class": (Category(("a", "b"), (3, 1)), ["b", None, "a"], [1, 0, 0]),
    "multi_label": (
        MultiLabel(("x", "y")), [["y", "x"], None, []], [[1, 1], [0, 0], [0, 0]],
    ),
    "number": (Number(3.0, 2.0, "kg"), [7, None, 2.0], [2, 0, -0.5]),
    "group": (Group(), ["one", None, "one"], None),
    "survival": (Survival(), [(3.5, 1), None, (2, 0)], [[3.5, 1], [0, 0], [2, 0]]),
    "grid": (Grid((1, 2)), [[[1, 255]], None, [[0, 1]]], [[[1, 0]], [[0, 0]], [[0, 1]]]),
    "route": (
        Route(((1.0, 0.0), (0.0, 0.0)), ((2.0, 1.0), (1.0, 4.0))),
        [[[3, 1], [0, 8]], None, [[1, 0], [np.nan, np.nan]]],
        [[[1, 1], [0, 2]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]],
    ),
    "text": (Text.fit(["b a", "b"]), ["a b", None, "b"], [[3, 2, 0], [0, 0, 0], [2, 0, 0]]),
}  # fmt: skip


def test_every_kind_has_a_case():
    assert {name: type(case[0]) for name, case in CASES.items()} == TARGETS


@pytest.mark.parametrize("target, rows, values", CASES.values(), ids=CASES)
def test_a_missing_target_is_masked_and_the_others_are_read(target, rows, values):
    found = target(rows)
    present = found.mask.reshape(3, -1).any(axis=1)
    assert present.tolist() == [True, False, True] and found.mask.dtype == bool
    assert np.all(np.isfinite(found.values)) and len(found.values) == 3
    if values is not None:
        np.testing.assert_array_equal(found.values, values)
    empty = target([])
    assert len(empty.values) == len(empty.mask) == 0
    assert empty.values.shape[1:] == found.values.shape[1:]
    nothing = target([None])
    assert not nothing.mask.any() and nothing.values.dtype == found.values.dtype


@pytest.mark.parametrize("target", [c[0] for c in CASES.values()], ids=CASES)
def test_every_kind_comes_back_from_a_file(target, tmp_path):
    inputs = {"x": FeatureTransform(1, (0.0,), (1.0,))}
    saved = Preprocessing(inputs, {"one": target, "other": Binary()})
    saved.save(tmp_path)
    assert Preprocessing.load(tmp_path) == saved
    assert json_file.read(tmp_path / "preprocessing.json")["format"] == 3


def test_a_file_of_the_second_format_had_no_targets(tmp_path):
    inputs = {"x": FeatureTransform(1, (0.0,), (1.0,))}
    Preprocessing(inputs).save(tmp_path)
    path = tmp_path / "preprocessing.json"
    content = {k: v for k, v in json_file.read(path).items() if k != "targets"}
    json_file.write(path, {**content, "format": 2})
    assert Preprocessing.load(tmp_path) == Preprocessing(inputs)


@pytest.mark.parametrize(
    "target, row, message",
    [
        (Binary(), 2, "expected 0 or 1, got 2"),
        (Binary(), float("nan"), "expected 0 or 1, got nan"),
        (Category(("a", "b"), (1, 1)), "c", "no training example is of the class 'c'; .* a, b"),
        (MultiLabel(("x",)), ["x", "z"], "no training example has the label 'z'; choose from x"),
        (Number(0.0, 1.0), float("inf"), "expected a finite number, got inf"),
    ],
)
def test_a_row_that_is_none_of_the_kind_is_named(target, row, message):
    with pytest.raises(UserError, match=f"^row 1: {message}"):
        target([None, row])
    both = Preprocessing({}, {"t": target})
    with pytest.raises(UserError, match=f"^target 't', examples 4 to 5: row 1: {message}"):
        both.targeted({"t": [None, row]}, np.array([4, 5]))


def test_a_target_that_the_rows_do_not_have_is_missing_in_all_of_them():
    found = Preprocessing({}, {"t": Number(1.0, 1.0)}).targeted({}, np.arange(3))
    assert found["t"].mask.tolist() == [False] * 3


# As people write them


@pytest.mark.parametrize("text", ["1", " Yes", "TRUE", "y", "t ", "1.0"])
def test_yes_is_written_in_many_ways(text):
    assert Binary().read(text) == 1.0


@pytest.mark.parametrize("text", ["0", "no ", "False", "N", "f", "0.0"])
def test_so_is_no(text):
    assert Binary().read(text) == 0.0


@pytest.mark.parametrize(
    "target, text, message",
    [
        (Binary(), "maybe", "expected 1 or 0, true or false, yes or no, got 'maybe'"),
        (Category(("a", "b"), (1, 1)), "  ", "expected the name of a class, got blanks"),
        (Number(0.0, 1.0), "3 kg", "expected a finite number, got '3 kg'"),
        (Number(0.0, 1.0), "nan", "expected a finite number, got 'nan'"),
    ],
)
def test_a_text_that_is_none_of_the_kind_is_refused(target, text, message):
    with pytest.raises(UserError, match=message):
        target.read(text)


def test_texts_are_read_without_their_blanks():
    assert Category(("a", "b"), (1, 1)).read(" a b ") == "a b"
    assert (
        MultiLabel(("x",)).read(" x; y z ;;") == ["x", "y z"] and MultiLabel(("x",)).read("") == []
    )
    assert Number(0.0, 1.0).read(" -1e-3 ") == -0.001


# What is fitted


def test_classes_are_numbered_by_number_then_by_alphabet_and_counted():
    found = Category.fit(["10", "b", "9", None, "a", "9"])
    assert found == Category(("9", "10", "a", "b"), (2, 1, 1, 1))
    # "nan" is a name like any other: the order is one whatever rows came first.
    for rows in (["nan", "2", "1"], ["2", "nan", "1"], ["1", "2", "nan"]):
        assert Category.fit(rows).names == ("1", "2", "nan")
    with pytest.raises(UserError, match=r"expected two different classes or more, got \['a'\]"):
        Category.fit(["a", "a"])


def test_an_unknown_class_counts_as_missing_where_that_is_wanted():
    found = Category(("a", "b"), (1, 1), unknown="missing")(["c", "b"])
    assert found.mask.tolist() == [False, True] and found.values.tolist() == [0, 1]


def test_labels_are_those_of_the_training_rows_by_alphabet():
    assert MultiLabel.fit([["y", "x"], None, [], ["x"]]) == MultiLabel(("x", "y"))
    with pytest.raises(UserError, match="expected one or more different labels"):
        MultiLabel.fit([[], None])


def test_numbers_are_standardised_and_a_constant_is_only_centred():
    found = Number.fit([1.0, None, 3.0], unit="kg")
    assert found == Number(2.0, 1.0, "kg")
    assert Number.fit([1.0, 5.0])([5.0]).values.tolist() == [1.0]
    constant = Number.fit([7.0, 7.0])
    assert constant == Number(7.0, 1.0) and constant([7.0, 8.0]).values.tolist() == [0.0, 1.0]
    # 0.1 + 0.2 + ... is no constant to the last digit.
    assert Number.fit([0.1] * 7).std == 1.0
    with pytest.raises(UserError, match="expected a number in the training split, got none"):
        Number.fit([None])


def test_of_one_group_are_those_of_equal_names():
    values = Group()(["one", "two", "one", "\udcff", 3, "3"]).values
    same = np.all(values[:, None] == values[None], axis=-1)
    assert same.sum() == 6 + 2 + 2 and same[0, 2] and same[4, 5]
    # Nothing is fitted: in another batch, process or version it is the same number.
    np.testing.assert_array_equal(Group()(["one"]).values[0], values[0])
    assert values[0].tolist() == [994664918, 446717376]
    assert np.all(values >= 0)


def test_unknown_cells_and_waypoints_are_masked():
    grid, route = CASES["grid"], CASES["route"]
    assert grid[0](grid[1]).mask[0].tolist() == [[True, False]]
    assert route[0](route[1]).mask[2].tolist() == [[True, True], [False, False]]


def test_grids_and_paths_are_read_fitted_and_given_back_in_metres():
    grid = Grid.read("001/1?0")
    assert grid.tolist() == [[0, 0, 1], [1, 255, 0]] and Grid.fit([None, grid]).shape == (2, 3)
    paths = [Route.read("0 0; 2 1"), Route.read("2 0; 4 -1"), Route.read("1 3; ?")]
    route = Route.fit(paths)
    assert route.mean == ((1.0, 1.0), (3.0, 0.0))
    np.testing.assert_allclose(route.metres(route(paths).values)[:2], paths[:2], atol=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Grid.read("001/10"), 'expected rows of 0, 1 and \\?, such as "001/1\\?0"'),
        (lambda: Grid((2, 2))([[[1, 2], [0, 0]]]), r"row 0: expected a grid \(2, 2\) of 0, 1 and"),
        (lambda: Grid.fit([None]), "expected grids"),
        (lambda: Route.read("1 2; 3"), 'expected waypoints such as "0 0; 1.5 0.1"'),
        (lambda: CASES["route"][0]([[[1, 2]]]), r"row 0: expected metres \(2, 2\), got \(1, 2\)"),
        (lambda: Route.fit([np.zeros((2, 2)), np.zeros((3, 2))]), "expected paths"),
    ],
)
def test_grids_and_paths_that_are_none_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
