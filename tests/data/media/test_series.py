import io

import numpy as np
import pytest

from mmjax.data.media.series import open_series
from mmjax.errors import UserError


def _npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_arrays_are_steps_of_channels(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6, dtype=np.int16).reshape(3, 2))
    np.testing.assert_array_equal(open_series(tmp_path / "a.npy"), [[0, 1], [2, 3], [4, 5]])
    assert open_series(_npy(np.arange(3.0))).tolist() == [[0], [1], [2]]
    assert open_series(_npy(np.zeros((0, 2)))).shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n3.5,-4e2\n", [[1, 2], [3.5, -400]]),
        ("\ufeffa,b\r\n1, 2\r\n\r\n", [[1, 2]]),
        ("a;b\n1,5;2\n", [[1.5, 2]]),
        ("a\tb\n1\t2\n", [[1, 2]]),
        ('"a, or b","c"\n"1","2"\n', [[1, 2]]),
        ("a\n7\n9\n", [[7], [9]]),
        ("time,a\n100.5,7\n101,8\n", [[0, 7], [0.5, 8]]),
        ("t,a\n-1,7\n1,8\n", [[0, 7], [2, 8]]),
        ("Time (s),a\n3,7\n", [[0, 7]]),
        ("temperature,a\n3,7\n", [[3, 7]]),
        ("timer,a\n3,7\n", [[3, 7]]),
        ("when,a\n2024-02-28,1\n2024-03-01,2\n", [[0, 1], [172_800, 2]]),
        ("t,a\n2024-01-01T00:00:00Z,1\n2024-01-01 02:00:00.25+01:00,2\n", [[0, 1], [3600.25, 2]]),
        ("t;a\n2024-01-01T00:00:00,5;1\n", [[0, 1]]),
        ("t,a\n", np.zeros((0, 2))),
    ],
)
def test_a_csv_file_is_steps_of_channels(text, expected):
    found = open_series(text.encode())
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "b: expected a header and rows of numbers, got an empty file"),
        ("a,b\n1,2\n3,\n", "b:3: expected a finite number, got ''"),
        ("a,b\n1,2\n\n3\n", "b:4: expected 2 cells, got 1"),
        ("a,b\n1,x\n", "b:2: expected a finite number, got 'x'"),
        ("a,b\n1,nan\n", "b:2: expected a finite number, got 'nan'"),
        ("a,b\n1,1e999\n", "b:2: expected a finite number"),
        ("a,b\n1,1_000\n", "b:2: expected a finite number, got '1_000'"),
        ("a,b\n1," + "9" * 5000 + "\n", "b:2: expected a finite number"),
        ("t,b\n2024-13-01,1\n", "b:2: expected an ISO 8601 date, got '2024-13-01'"),
        ("t,b\n2024-01-01,1\n5,1\n", "b:3: expected a date, got '5'"),
        ("t,b\n5,1\n2024-01-01,1\n", "b:3: expected a number, got '2024-01-01'"),
        ('a,b\n1,"2\n', "b:2: "),
        ("a\n" + "9" * 200_000, "b:2: "),
    ],
)
def test_what_is_no_number_is_named_with_its_line(text, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        open_series(text.encode(), name="b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "expected a CSV file in UTF-8"),
        (_npy(np.zeros((2, 2, 2))), r"got an array \(2, 2, 2\)"),
        (_npy(np.array(["x"])), "another or a damaged one"),
        (_npy(np.zeros(5))[:-1], "another or a damaged one"),
    ],
)
def test_what_is_no_series_is_named(content, message):
    with pytest.raises(ValueError, match=f"^b: .*{message}"):
        open_series(content, name="b")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: expected a \.npy or CSV file"):
        open_series(tmp_path / "none.csv")


def test_a_file_of_numbers_alone_is_refused_instead_of_losing_its_first_step():
    with pytest.raises(UserError, match="walk:1: expected a header, got numbers"):
        open_series(b"1,2\n3,4\n", name="walk")


@pytest.mark.parametrize("first", ["", "a,b\n"])
def test_a_header_is_optional_where_it_is_said_so(first):
    found = open_series(f"{first}1,2\n3,4\n".encode(), header=False)
    np.testing.assert_array_equal(found, [[1, 2], [3, 4]])
