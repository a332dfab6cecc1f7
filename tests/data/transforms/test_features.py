import io
import json
import os
import pickle
import warnings

import numpy as np
import pytest

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.features import BYTE_LIMIT, FeatureTransform, open_features

_TRANSFORM = FeatureTransform(max_tokens=3, mean=(1.0, -2.0), std=(2.0, 0.5))


def _rows(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(5.0, 3.0, (length, 2)) * [1, 10] for length in lengths]


def test_rows_are_standardised_padded_and_cut():
    row = np.array([[1.0, -2.0], [3.0, -1.5], [1.0, 0.0], [9.0, 9.0]])
    found = _TRANSFORM([row[:1], row, None, row[:0]])
    assert found.values.dtype == np.float32 and found.values.shape == (4, 3, 2)
    assert found.mask.tolist() == [[True, False, False], [True] * 3, [False] * 3, [False] * 3]
    np.testing.assert_allclose(found.values[1], [[0, 0], [1, 1], [0, 4]])
    assert not found.values[~found.mask].any()


def test_a_vector_is_one_token_and_an_array_is_as_good_as_a_list():
    rows = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    single = _TRANSFORM(rows)
    assert single.mask.tolist() == [[True, False, False]] * 4
    np.testing.assert_array_equal(single.values, _TRANSFORM(list(rows[:, None])).values)
    assert _TRANSFORM([]).values.shape == (0, 3, 2)


def test_what_was_fitted_is_read_with_mean_zero_and_deviation_one():
    rows = [*_rows([1, 4, 9, 2]), None]
    found = FeatureTransform.fit(rows, max_tokens=9)(rows)
    read = found.values[found.mask]
    assert len(read) == 16
    np.testing.assert_allclose(read.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(read.std(axis=0), 1, atol=1e-6)


def test_tokens_that_are_cut_away_do_not_count_in_the_fit():
    rows = _rows([5, 5])
    cut = [row[:2] for row in rows]
    assert FeatureTransform.fit(rows, max_tokens=2) == FeatureTransform.fit(cut, max_tokens=2)


@pytest.mark.parametrize("value", [0.1, 0.0, 1e6])
def test_a_feature_that_never_changes_becomes_zero(value):
    rows = [np.array([[value, i]]) for i in range(10)]
    found = FeatureTransform.fit(rows, max_tokens=1)(rows).values
    np.testing.assert_allclose(found[:, :, 0], 0, atol=1e-6)


@pytest.mark.parametrize("rows", [[], [None], [np.zeros((0, 2))]])
def test_a_fit_on_nothing_is_refused(rows):
    with pytest.raises(ValueError, match="rows: expected at least one"):
        FeatureTransform.fit(rows, max_tokens=2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (np.zeros((2, 3)), r"got the shape \(2, 3\)"),
        (np.zeros(()), r"got the shape \(\)"),
        (np.zeros((1, 2, 2)), r"got the shape \(1, 2, 2\)"),
        (np.zeros((2, 2), int), "got int64"),
        (np.zeros((2, 2), object), "got object"),
        ([[0.0, 0.0]], "got list"),
        (np.array([0.0, np.nan]), "got NaN, infinity"),
        (np.array([0.0, -np.inf]), "got NaN, infinity"),
        (np.array([1e39, 0.0]), "too large for float32"),
        (np.array([0.0, 2e38]), "too large for float32"),  # only once it is divided by 0.5
    ],
)
def test_a_row_that_is_no_features_is_named(row, message):
    with pytest.raises(ValueError, match=r"features in row 1: expected floats .*" + message):
        _TRANSFORM([None, row])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": 0}, "max_tokens: expected at least 1, got 0"),
        (
            {"max_tokens": 25_000_001},
            "max_tokens: expected at most 50,000,000 numbers in a row, got 25,000,001 times 2",
        ),
        ({"mean": ()}, "mean: expected one number per feature"),
        ({"mean": (0.0, np.nan)}, "mean: expected 2 finite numbers"),
        ({"std": (1.0,)}, "std: expected 2 finite numbers"),
        ({"std": (1.0, 0.0)}, "std: expected numbers above 0"),
    ],
)
def test_a_transform_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        FeatureTransform(**({"max_tokens": 3, "mean": (0.0, 0.0), "std": (1.0, 1.0)} | changes))


def test_a_saved_transform_is_equal_to_the_last_bit(tmp_path):
    fitted = Preprocessing({"touch": FeatureTransform.fit(_rows([3, 1]), max_tokens=4)})
    fitted.save(tmp_path)
    assert Preprocessing.load(tmp_path) == fitted
    content = json.loads((tmp_path / "preprocessing.json").read_text())
    assert content["transforms"]["touch"]["type"] == "features"


@pytest.mark.parametrize("shape", [(3, 2), (2,), (0, 2)])
def test_an_npy_file_is_read(tmp_path, shape):
    given = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "a.npy", given)
    np.testing.assert_array_equal(open_features(tmp_path / "a.npy"), given)


def _bytes(save, *arguments, **named):
    file = io.BytesIO()
    save(file, *arguments, **named)
    return file.getvalue()


_NPY = _bytes(np.save, np.zeros((3, 2)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array at all",
        b"PK\x03\x04 no archive",
        _NPY[:20],
        _NPY[:-1],
        _NPY.replace(b"(3, 2)", b"(3, -"),
        _NPY.replace(b"(3, 2)", b"(8**9"),
        _NPY.replace(b"(3, 2), }      ", b"(99999999999,),}"),
        _bytes(np.savez, a=np.zeros(2)),
        _bytes(np.save, np.array([{}]), allow_pickle=True),
        pickle.dumps(np.zeros(2)),
    ],
)
def test_a_file_that_is_no_npy_is_named(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy also warns of some broken headers
        with pytest.raises(ValueError, match=r"a\.npy: expected a \.npy file of floats, got a"):
            open_features(tmp_path / "a.npy")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.npy: expected .* got no file at all"):
        open_features(tmp_path / "a.npy")


def test_a_file_that_would_take_the_memory_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    os.truncate(tmp_path / "a.npy", BYTE_LIMIT + 1)
    with pytest.raises(ValueError, match=r"a\.npy: .* at most 100,000,000 bytes, got a larger one"):
        open_features(tmp_path / "a.npy")


def test_the_content_of_a_file_is_read_as_the_file(tmp_path):
    given = np.ones((3, 2), np.float32)
    np.save(tmp_path / "a.npy", given)
    draft = FeatureTransform.draft(2)
    content = (tmp_path / "a.npy").read_bytes()
    for cell in ("a.npy", content, {"bytes": content, "path": "a.npy"}, given, given.tolist()):
        np.testing.assert_array_equal(draft.read(cell, tmp_path), given)
