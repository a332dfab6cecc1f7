import json

import pytest

from mmjax.io.tables import RowError, columns_of, json_lines, read_rows


@pytest.fixture
def rows(tmp_path):
    """Of these bytes, as a list; errors as their reasons."""

    def read(content, **options):
        path = tmp_path / "a.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [
            (line, row.reason if isinstance(row, RowError) else row)
            for line, row in read_rows(path, **options)
        ]

    return read


def test_cells_have_their_types_and_what_a_line_lacks_is_missing(rows, tmp_path):
    value = {"a": 1, "b": 0.5, "c": True, "d": None, "e": [1, "x"], "f": {"g": "\u2028\r"}}
    text = json.dumps(value, ensure_ascii=False)
    assert rows(f'\ufeff{text}\r\n\n{{"a": "x"}}') == [
        (1, value),
        (3, dict.fromkeys(value) | {"a": "x"}),
    ]
    assert columns_of(tmp_path / "a.jsonl") == list("abcdef")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": 1, "a": 2}', "expected each key once, got 'a' twice"),
        ('{"b": {"a": 1, "a": 2}}', "expected each key once, got 'a' twice"),
        ('{"a": NaN}', "expected JSON, which has no NaN; write null"),
        ('{"a": -Infinity}', "expected JSON, which has no -Infinity"),
        ('{"a": 1e999}', "expected finite numbers, got 1e999"),
        ('{"a": ' + "9" * 5000 + "}", "expected JSON: Exceeds the limit"),
        ('{"a": "\\ud800"}', "expected JSON: 'utf-8' codec can't encode"),
        ('{"\\ud800": 1}', "expected JSON: 'utf-8' codec can't encode"),
        ("[1]", "expected a JSON object, got [1]"),
        ('{"a": 1', "expected JSON: "),
        ("[" * 100_000, "expected JSON, got too many nested brackets"),
        (b'{"a": "\xff"}', "expected UTF-8, got bytes that are not"),
        (b'{"a": "\0"}', "got a NUL byte"),
        ('{"a": "' + "x" * 10_000_000 + '"}', "expected lines of at most 10,000,000 characters"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_line_is_said_and_the_next_is_read(rows, line, reason):
    line = line if isinstance(line, bytes) else line.encode()
    first, (number, said), last = rows(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    assert first == (1, {"a": 1}) and last == (3, {"a": 3})
    assert (number == 2 and said.startswith(reason)) or reason in said


def test_a_line_may_have_ten_million_characters(rows):
    long = "x" * 9_999_980
    assert rows(f'{{"a": "{long}"}}\n') == [(1, {"a": long})]


def test_pairs_of_surrogates_are_letters(rows):
    assert rows('{"a": "\\ud83d\\ude00"}') == [(1, {"a": "😀"})]


def test_a_column_is_looked_for_in_the_first_lines(rows, monkeypatch):
    content = '{"a": 1}\n' * 3 + '{"b": 2}'
    assert rows(content, required=("b",))[-1] == (4, {"a": None, "b": 2})
    monkeypatch.setattr(json_lines, "SAMPLE", 3)
    with pytest.raises(ValueError, match=r"no column 'b'; looked for in the first 3 lines"):
        rows(content, required=("b",))
