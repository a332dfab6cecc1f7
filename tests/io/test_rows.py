import pytest

from mmjax.io.rows import LINE_LIMIT, RowError, read_rows


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


@pytest.mark.parametrize("header", ["", "a\0", b"\xff\xfea\0"])
def test_a_header_that_names_no_columns_is_refused(rows, header):
    with pytest.raises(ValueError, match=r"pairs\.csv:1: expected a header with the names"):
        rows(header)


@pytest.mark.parametrize(
    ("header", "message"),
    [("a,c", "none of these"), ("b", "no column 'a'"), ("a,b,b", "'b' is there twice")],
)
def test_unknown_and_absent_columns_are_named(rows, header, message):
    with pytest.raises(ValueError, match=rf"pairs\.csv:1: expected a header with .*{message}"):
        rows(header, any_of=("b",), required=("a",))


def test_a_header_that_is_no_csv_is_refused(rows):
    with pytest.raises(ValueError, match=r"pairs\.csv:1: expected a header: unexpected end"):
        rows('"a')


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.csv: expected a CSV file, got no file"):
        list(read_rows(tmp_path / "no.csv"))


def test_columns_that_nobody_reads_may_be_unnamed_or_called_alike(rows):
    assert rows(",a,note,note\n0,1,x,y\n", required=("a",))[0][1]["a"] == "1"
