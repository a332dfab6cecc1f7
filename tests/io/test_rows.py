import csv

import pytest

from mmjax.io.rows import LINE_LIMIT, BadRows, RowError, read_rows


@pytest.fixture
def rows(tmp_path):
    """Of these bytes, as a list; errors as their reasons."""

    def read(content, **options):
        path = tmp_path / "pairs.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [
            (line, row.reason if isinstance(row, RowError) else row)
            for line, row in read_rows(path, **options)
        ]

    return read


def test_a_row_has_the_line_on_which_it_begins(rows):
    content = 'a,b\n1,2\n\n"x\ny","1, ""2"""\r\n3,4'
    assert rows(content) == [
        (2, {"a": "1", "b": "2"}),
        (4, {"a": "x\ny", "b": '1, "2"'}),
        (6, {"a": "3", "b": "4"}),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(rows):
    assert rows("\ufeffa\n\ufeff1\n") == [(2, {"a": "\ufeff1"})]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1", "expected 2 cells, got 1"),
        (b"1,2,3", "expected 2 cells, got 3"),
        (b"1,\x002", "got a NUL byte"),
        (b"1,\xff2", "expected UTF-8"),
        (b'1,"2" 3', "',' expected after '\"'"),
        (b"1," + b"2" * 200_000, "field larger than field limit"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_and_the_next_is_read(rows, row, reason):
    (line, said), last = rows(b"a,b\n" + row + b"\n8,9\n")
    assert line == 2 and reason in said and last == (3, {"a": "8", "b": "9"})


def test_an_error_names_the_file_and_the_line(tmp_path):
    (tmp_path / "pairs.csv").write_text("a\n1,2\n")
    ((_, error),) = read_rows(tmp_path / "pairs.csv")
    assert str(error) == f"{tmp_path / 'pairs.csv'}:2: expected 1 cells, got 2"


@pytest.mark.parametrize("row", ['3,"4\n5,6\n', '3,"' + "long\n" * 50_000 + '"\n'], ids=range(2))
def test_rows_that_cannot_be_told_apart_end_the_file(rows, row):
    with pytest.raises(ValueError, match=r"pairs\.csv:3: expected the quote of this row to be clo"):
        rows("a,b\n1,2\n" + row)


def test_a_file_without_line_ends_is_not_read_whole(rows):
    with pytest.raises(ValueError, match=r"pairs\.csv:2: expected lines of at most 1,000,000 char"):
        rows("a\n" + "1" * (LINE_LIMIT + 1))


@pytest.mark.parametrize("header", ["", "a,a", "a,", "a\0", b"\xff\xfea\0"])
def test_a_header_that_names_no_columns_is_refused(rows, header):
    with pytest.raises(ValueError, match=r"pairs\.csv:1: expected a header with the names"):
        rows(header)


@pytest.mark.parametrize(
    ("header", "message"),
    [("a,c", "nothing is called 'c'"), ("b", "no column 'a'")],
)
def test_unknown_and_absent_columns_are_named(rows, header, message):
    with pytest.raises(ValueError, match=rf"pairs\.csv:1: expected a header with .*{message}"):
        rows(header, known=("a", "b"), required=("a",))


def test_a_header_that_is_no_csv_is_refused(rows):
    with pytest.raises(ValueError, match=r"pairs\.csv:1: expected a header: unexpected end"):
        rows('"a')


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.csv: expected a CSV file, got no file"):
        list(read_rows(tmp_path / "no.csv"))


def mixed(path="x.csv"):
    yield 2, "good"
    yield 3, RowError(path, 3, "two\nlines \udcff")
    yield 4, "better"


def test_the_first_bad_row_stops():
    found = BadRows(None).left_out(mixed())
    assert next(found) == (2, "good")
    with pytest.raises(RowError, match=r"x\.csv:3: two"):
        next(found)


def test_bad_rows_are_left_out_and_reported(tmp_path):
    bad = BadRows(tmp_path / "report.csv")
    assert list(bad.left_out(mixed())) == [(2, "good"), (4, "better")]
    assert bad.count == 1
    with (tmp_path / "report.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["line", "reason"], ["3", "two\nlines \\udcff"]]


def test_a_report_is_not_that_of_an_earlier_call(tmp_path):
    report = tmp_path / "report.csv"
    report.write_text("old")
    with pytest.raises(FileNotFoundError):
        list(BadRows(report).left_out(read_rows(tmp_path / "no.csv")))
    assert report.read_text() == "old"
    assert list(BadRows(report).left_out([])) == []
    assert report.read_text().strip() == "line,reason"
