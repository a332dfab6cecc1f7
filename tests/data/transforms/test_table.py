import json
from pathlib import Path

import numpy as np
import pytest

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms import table_fit
from mmjax.data.transforms.table import Categorical, Numeric, TableTransform

_ROWS = [
    {"age": 60, "sex": "m", "ill": True},
    {"age": 40.0, "sex": "f", "ill": np.bool_(False)},
    {"age": None, "sex": "f"},
    None,
    {"age": float("nan"), "sex": "d", "ill": None},
]
_TABLE = TableTransform(
    (
        Numeric("age", mean=50.0, std=10.0),
        Categorical("sex", ("f", "d", "m")),
        Categorical("ill", ("false", "true")),
    )
)


def test_columns_are_inferred_from_the_rows():
    assert TableTransform.fit(_ROWS) == _TABLE
    assert _TABLE.categories == (0, 3, 2)


def test_numbers_are_standardised_categories_numbered_and_the_rest_masked():
    found = _TABLE([*_ROWS, {}, {"sex": "x", "age": np.float32(70)}])
    assert found.values.dtype == np.float32
    assert found.values.tolist() == [
        [1, 2, 1],
        [-1, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 1, 0],
        [0, 0, 0],
        [2, 0, 0],
    ]
    assert found.mask.astype(int).tolist() == [
        [1, 1, 1],
        [1, 1, 1],
        [0, 1, 0],
        [0, 0, 0],
        [0, 1, 0],
        [0, 0, 0],
        [1, 0, 0],
    ]
    assert _TABLE([]).values.shape == _TABLE([]).mask.shape == (0, 3)


def test_what_was_fitted_has_mean_zero_and_deviation_one():
    rng = np.random.default_rng(0)
    rows = [{"x": x} for x in rng.normal(5, 3, 50)]
    values = TableTransform.fit(rows)(rows).values
    np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-6)


def test_a_number_that_never_changes_is_only_centred():
    rows = [{"x": 0.1}] * 7
    (column,) = TableTransform.fit(rows).columns
    assert column.std == 1.0
    np.testing.assert_allclose(TableTransform.fit(rows)([{"x": 1.1}]).values, [[1.0]])


@pytest.mark.parametrize(
    "name", ["", " age", "\ufeffage", "\u00e4\u0301\u4e00", "a=b", "\u202eega"]
)
def test_any_string_is_a_name_or_a_category(tmp_path, name):
    table = TableTransform.fit([{name: "\ufeff1"}, {name: name + "2"}])
    Preprocessing({"table": table}).save(tmp_path)
    assert Preprocessing.load(tmp_path).transforms["table"] == table
    assert table([{name: name + "2"}]).mask.all()
    assert table.read(json.dumps({name: "\ufeff1"}), Path()) == {name: "\ufeff1"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"age": "old"}, "column 'age': expected a number, got 'old'"),
        ({"age": True}, "column 'age': expected a number, got True"),
        ({"age": [63]}, r"column 'age': expected a number, got \[63\]"),
        ({"age": 1j}, "column 'age': expected a number, got 1j"),
        ({"age": float("inf")}, "column 'age': expected a finite number .*, got -?inf"),
        ({"age": np.float32("-inf")}, "column 'age': expected a finite number .*, got -?inf"),
        ({"age": 10**5000}, "column 'age': expected a finite number .*, got inf"),
        ({"sex": b"f"}, "column 'sex': expected a category as text, got b'f'"),
        ({"Age": 63}, "no column 'Age'; choose from 'age', 'sex', 'ill'"),
        ({"\ufeffage": 63}, r"no column '\\ufeffage'; choose from 'age'"),
        ([63], "expected a mapping from columns to cells, got list"),
    ],
)
def test_a_row_that_is_not_of_the_table_is_named(row, message):
    with pytest.raises(ValueError, match=f"table in row 1: {message}"):
        _TABLE([None, row])


def test_a_number_that_standardising_makes_too_large_is_refused():
    table = TableTransform((Numeric("x", mean=0.0, std=1e-3),))
    with pytest.raises(ValueError, match="row 0: column 'x': expected a number that fits into"):
        table([{"x": 3e38}])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1, "b": None}, {"b": np.nan}], "column 'b': expected a cell that is not mi"),
        ([{"a": "x"}, {"a": b"x"}], "table in row 1: column 'a': expected a category as text"),
        ([{"a": np.inf}], "table in row 0: column 'a': expected a finite number"),
        ([None], "columns: expected at least one, got none"),
        ([7], "table in row 0: expected a mapping from columns to cells, got int"),
    ],
)
def test_rows_that_make_no_table_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        TableTransform.fit(rows)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Numeric("a", mean=0.0, std=0.0), "column 'a': std: expected numbers above 0"),
        (lambda: Numeric("a", mean=np.nan, std=1.0), "column 'a': mean: expected 1 finite number,"),
        (lambda: Categorical("a", ()), "column 'a': expected one or more different categories"),
        (lambda: Categorical("a", ("x", "x")), "column 'a': expected one or more different"),
    ],
)
def test_a_column_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_json_object_is_a_row():
    row = _TABLE.read('{"age": 63, "sex": "f", "ill": true}', Path())
    assert row == {"age": 63, "sex": "f", "ill": True}
    assert _TABLE([row]).values[0].tolist() == pytest.approx([1.3, 0, 1])
    assert not _TABLE([_TABLE.read('{"age": null, "sex": NaN}', Path())]).mask.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a JSON object"),
        ("age=63", "expected a JSON object"),
        ("{'age': 63}", "expected a JSON object"),
        ("[63]", "expected a JSON object of columns and cells"),
        ("null", "expected a JSON object of columns and cells"),
        ('{"age": 63, "age": 64}', "column 'age' is given twice"),
        ('{"age": "old"}', "column 'age': expected a number, got 'old'"),
        ('{"age": Infinity}', "column 'age': expected a finite number"),
        ('{"age": ' + "9" * 5000 + "}", "expected a JSON object"),
        ('{"year": 63}', "no column 'year'; choose from 'age'"),
        ('{"age": ' + "[" * 100_000, "expected a JSON object"),
    ],
)
def test_what_is_no_row_of_the_table_is_refused(text, message):
    with pytest.raises(ValueError, match=message) as error:
        _TABLE.read(text, Path())
    assert len(str(error.value)) < 500


def test_cells_that_are_missing_or_unknown_are_said():
    assert _TABLE.remarks(_ROWS[0]) == []
    assert _TABLE.remarks({"sex": "x", "age": 3}) == [
        "1 cell missing: ill",
        "1 cell unknown: sex='x'",
    ]
    assert _TABLE.remarks({"sex": "x", "ill": "so so", "age": None})[1] == (
        "2 cells unknown: sex='x', ill='so so'"
    )
    assert _TABLE.remarks({}) == ["3 cells missing: age, sex, ill"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": "x"}, r"table\.columns: expected .* @ columns\[0\]\.mean"),
        ({"std": 0.0}, r"table\.columns: .*above 0, got \(0\.0,\) @ columns\[0\]"),
        ({"dim": 3}, r"table\.columns: expected .*dim.* @ columns\[0\]"),
        ({"name": "sex"}, r"table: columns: expected different names, got 'sex' twice"),
    ],
)
def test_what_is_wrong_in_a_saved_table_is_named(tmp_path, change, message):
    Preprocessing({"table": _TABLE}).save(tmp_path)
    path = tmp_path / "preprocessing.json"
    assert Preprocessing.load(tmp_path).transforms["table"] == _TABLE
    content = json.loads(path.read_text())
    content["transforms"]["table"]["columns"][0] |= change
    content["checksum"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        Preprocessing.load(tmp_path)


def test_a_nest_of_any_depth_is_no_number():
    for depth in range(100, 3000, 10):
        text = '{"age": ' + "[" * depth + "]" * depth + "}"
        with pytest.raises(ValueError, match="expected a"):
            _TABLE.read(text, Path())


def test_numbers_and_dates_written_as_texts_are_recognised():
    rows = [
        {"age": "1,200", "born": "2020-01-01", "zip": "01234", "code": "7"},
        {"age": "800", "born": "31.12.2019", "zip": "90210", "code": "8"},
        {"age": "NA", "born": "", "zip": "?", "code": None},
    ]
    table = TableTransform.fit(rows, categorical=("code",))
    assert table.categories == (0, 0, 2, 2)
    found = table(rows)
    np.testing.assert_allclose(found.values[:2, :2], [[1, 1], [-1, -1]])
    assert found.mask.tolist() == [[True] * 4, [True] * 4, [False] * 4]


def test_a_few_texts_among_numbers_are_refused_and_many_make_categories():
    few = [{"x": str(number)} for number in range(40)] + [{"x": "forty"}]
    table = TableTransform.fit(few)
    with pytest.raises(ValueError, match="column 'x': expected a number, got 'forty'"):
        table(few)
    assert TableTransform.fit([*few, *[{"x": "old"}] * 9]).categories == (42,)


def test_memory_is_bounded_where_every_cell_is_another_and_frequent_categories_are_kept(
    monkeypatch,
):
    monkeypatch.setattr(table_fit, "MOST_CATEGORIES", 10)
    fitting = table_fit.TableFit()
    for i in range(300):
        fitting.add({"code": f"x{i}" if i % 3 else "ab"[i % 2], "age": f"{i}.5"})
    code, age = fitting.result().columns
    assert code.categories[:2] == ("a", "b") and len(code.categories) == 10
    assert age.mean == 150.0
    assert all(len(column._categories) <= 20 for column in fitting._columns.values())
