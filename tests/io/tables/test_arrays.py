import zipfile

import numpy as np
import pytest

from mmjax.io.tables import columns_of, read_rows
from tests.faults.good import npy

COLUMNS = {
    "picture": np.arange(24, dtype=np.uint8).reshape(3, 2, 4),
    "half": np.array([0.5, np.nan, 2], np.float16),
    "count": np.array([1, 2**60, -1]),
    "truth": np.array([True, False, True]),
    "text": np.array(["a", "größe", ""]),
    "bytes": np.array([b"a", b"\xff", "ö".encode()]),
    "day": np.array(["2024-02-29", "NaT", "1970-01-01"], "M8[D]"),
    "words": np.array([["a", "b"], ["c", "d"], ["e", ""]]),
    "big": np.array([1.5, 2, 3], ">f4"),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_row_i_is_entry_i_of_every_array(tmp_path, save):
    save(tmp_path / "a.npz", **COLUMNS)
    assert columns_of(tmp_path / "a.npz") == list(COLUMNS)
    found = list(read_rows(tmp_path / "a.npz"))
    assert [place for place, _ in found] == [1, 2, 3]
    for i, (_, row) in enumerate(found):
        np.testing.assert_array_equal(row.pop("picture"), COLUMNS["picture"][i])
    rows = [row for _, row in found]
    assert np.isnan(rows[1].pop("half"))
    assert rows == [
        {"half": 0.5, "count": 1, "truth": True, "text": "a", "bytes": "a", "day": "2024-02-29",
         "words": ["a", "b"], "big": 1.5},
        {"count": 2**60, "truth": False, "text": "größe", "bytes": b"\xff", "day": None,
         "words": ["c", "d"], "big": 2.0},
        {"half": 2.0, "count": -1, "truth": True, "text": "", "bytes": "ö", "day": "1970-01-01",
         "words": ["e", ""], "big": 3.0},
    ]  # fmt: skip
    assert {type(cell) for cell in rows[0].values()} == {float, int, bool, str, list}


def test_a_npy_file_is_one_column(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
    assert [row["values"].tolist() for _, row in read_rows(tmp_path / "a.npy")] == [
        [0, 1],
        [2, 3],
        [4, 5],
    ]


def test_arrays_that_are_no_columns_are_named_with_their_reasons(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        x=np.zeros((4, 2)),
        classes=np.array(["a", "b"]),
        scalar=np.array(3),
        meta=np.array([{"a": 1}] * 4, object),
        turned=np.zeros((2, 4)).T,
    )
    assert columns_of(tmp_path / "a.npz") == ["x"]
    for name, reason in {
        "classes": "classes: 2 rows",
        "scalar": "scalar: expected an array with a first axis",
        "meta": "meta: .* nothing is unpickled",
        "turned": "turned: .*Fortran order; save np.ascontiguousarray",
    }.items():
        with pytest.raises(
            ValueError, match=rf"a\.npz: .*no column '{name}'; no columns: .*{reason}"
        ):
            list(read_rows(tmp_path / "a.npz", required=(name,)))


@pytest.mark.parametrize(
    "content",
    [
        npy(np.array([{}], object), allow_pickle=True),
        npy(np.zeros((10**12, 0))),
        npy(np.zeros((3, 2)))[:-1],
        npy(np.zeros(0)),
        npy(np.array(1)),
        npy(np.zeros(2, [("a", "f4"), ("b", "i4")])),
        npy(np.zeros(2, complex)),
        npy(np.zeros(2)).replace(b"(2,)", b"(-2,)"),
        b"",
    ],
    ids=range(9),
)
def test_what_is_no_column_is_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npy: expected "):
        list(read_rows(tmp_path / "a.npy"))


def test_arrays_are_only_unpacked_by_what_bounds_their_size(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x.npy", npy(np.zeros(3)))
    with pytest.raises(ValueError, match=r"a\.npz: expected arrays as numpy compresses them"):
        list(read_rows(tmp_path / "a.npz"))
