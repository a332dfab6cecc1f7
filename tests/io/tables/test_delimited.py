import csv
import sys
import threading

import pytest

from mmjax.io.tables import Format, RowError, columns_of, delimited, read_rows


@pytest.fixture
def rows(tmp_path):
    """Of these bytes, as a list; errors as their reasons."""

    def read(content, name="pairs.csv", **options):
        path = tmp_path / name
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
        (b"1,\xff2", "encoding"),
        (b'1,"2" 3', "',' expected after '\"'"),
        (b"1," + b"2" * 1_000_001, "expected cells of at most 1,000,000 characters, got 1,000,001"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_and_the_next_is_read(rows, row, reason):
    (line, said), last = rows(b"a,b\n" + row + b"\n8,9\n")
    assert line == 2 and reason in said and last == (3, {"a": "8", "b": "9"})


def test_an_error_names_the_file_and_the_line(tmp_path):
    (tmp_path / "pairs.csv").write_text("a\n1,2\n")
    ((_, error),) = read_rows(tmp_path / "pairs.csv")
    assert str(error) == f"{tmp_path / 'pairs.csv'}:2: expected 1 cells, got 2"
    assert (error.path, error.place) == (tmp_path / "pairs.csv", 2)


def test_a_quoted_cell_may_have_a_million_characters_on_many_lines(rows):
    long, longer = "four\n" * 200_000, "four\n" * 200_001
    found = rows(f'a,b\n1,"{long}"\n2,"{longer}"\n3,x\n')
    assert found[0] == (2, {"a": "1", "b": long})
    assert found[1][0] == 200_003 and "at most 1,000,000 characters" in found[1][1]
    assert found[2] == (400_005, {"a": "3", "b": "x"})


@pytest.fixture
def limit():
    """That of Python's csv, which is one for the process."""
    before = csv.field_size_limit(1234)
    yield 1234
    csv.field_size_limit(before)


def test_the_limit_of_pythons_csv_is_left_as_it_was(rows, tmp_path, limit):
    rows("a\n1\n")
    assert csv.field_size_limit() == limit
    open_one = read_rows(tmp_path / "pairs.csv")
    next(open_one)
    assert csv.field_size_limit() == limit


def test_threads_do_not_take_the_limit_from_each_other(tmp_path, limit):
    (tmp_path / "long.csv").write_text("a\n" + ('"' + "four\n" * 1000 + '"\n') * 5)
    errors = []

    def read():
        rows = [row for _, row in read_rows(tmp_path / "long.csv")]
        errors.extend(row for row in rows if isinstance(row, RowError))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors and csv.field_size_limit() == limit


def test_rows_that_cannot_be_told_apart_end_the_file(rows):
    with pytest.raises(ValueError, match=r"pairs\.csv:3: expected the quote of this row to be clo"):
        rows('a,b\n1,2\n3,"4\n5,6\n')


@pytest.mark.parametrize("row", ["1" * 200, '1,"' + "four\n" * 40])
def test_a_file_without_line_ends_is_not_read_whole(rows, row, monkeypatch):
    monkeypatch.setattr(delimited, "ROW_LIMIT", 100)
    with pytest.raises(ValueError, match=r"pairs\.csv:2: expected rows of at most 100 char"):
        rows("a,b\n" + row)


@pytest.mark.parametrize("header", ["", "a\0", b"\xff\xfea\0\0\0", ",,"])
def test_a_header_that_names_no_columns_is_refused(rows, header):
    with pytest.raises(ValueError, match=r"pairs\.csv:1: expected a header with the names"):
        rows(header)


@pytest.mark.parametrize(
    ("header", "message"),
    [("a,c", "none of these"), ("b", "no column 'a'"), ("a,b,b", "'b' is there twice")],
)
def test_unknown_and_absent_columns_are_named(rows, header, message):
    with pytest.raises(ValueError, match=rf"pairs\.csv: expected columns .*{message}"):
        rows(header, any_of=("b",), required=("a",))


def test_a_header_that_is_no_csv_is_refused(rows):
    with pytest.raises(ValueError, match=r"pairs\.csv:1: expected a header: unexpected end"):
        rows('"a')


def test_columns_that_nobody_reads_may_be_unnamed_or_called_alike(rows, tmp_path):
    assert rows(",a,note,note,,\n0,1,x,y,,\n0,2,x,y\n", required=("a",)) == [
        (2, {"a": "1", "note": "y"}),
        (3, {"a": "2", "note": "y"}),
    ]
    assert columns_of(tmp_path / "pairs.csv") == ["a", "note"]


def test_empty_cells_after_the_last_name_may_be_more(rows):
    assert rows("a,b\n1,2,,\n") == [(2, {"a": "1", "b": "2"})]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_the_separator_is_found_from_the_header(rows, separator, name):
    content = f'text{separator}"a,b;c|d\te"\n1{separator}"2{separator}3"\n'
    assert rows(content, name) == [(2, {"text": "1", "a,b;c|d\te": f"2{separator}3"})]


def test_the_separator_may_be_said_by_the_file_or_by_the_user(rows):
    assert rows("sep=;\r\na;b,c,d\n1;2\n") == [(3, {"a": "1", "b,c,d": "2"})]
    assert rows("a:b;c\n1:2\n", format=Format(separator=":")) == [(2, {"a": "1", "b;c": "2"})]
    with pytest.raises(ValueError, match=r"pairs\.csv: expected one character as the separator"):
        rows("a\n", format=Format(separator="::"))


def test_a_wrong_separator_is_said_with_the_one_that_it_looks_like(rows):
    with pytest.raises(ValueError, match=r"no column 'a'; the header looks separated by ';'"):
        rows("a;b\n", required=("a",), format=Format(separator=","))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_texts_come_out_as_they_went_in(rows, encoding):
    said = Format(encoding=encoding if encoding in ("cp1252", "latin-1") else "utf-8")
    content = "größe\n“é”\n" if encoding != "latin-1" else "größe\né\n"
    ((_, row),) = rows(content.encode(encoding), format=said)
    assert row == {"größe": content.split()[1]}


def test_an_unknown_encoding_is_refused(rows):
    for encoding in ("windows", "hex", "a\0"):
        with pytest.raises(ValueError, match=r"pairs\.csv: expected the name of an encoding"):
            rows("a\n", format=Format(encoding=encoding))
