import datetime
import decimal
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mmjax.io.tables import columns_of, read_rows
from mmjax.io.tables import parquet as reader


def rows(path, columns, **options):
    """As read from a file of these columns."""
    parquet.write_table(pa.table(columns), path, row_group_size=2, **options)
    return [row for _, row in read_rows(path)]


def test_cells_have_their_types(tmp_path):
    when = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC)
    picture = {"bytes": b"\x89PNG", "path": None}
    cells = {
        "text": ("a\0", "a\0"),
        "truth": (True, True),
        "count": (2**60, 2**60),
        "number": (0.5, 0.5),
        "content": (b"\xff", b"\xff"),
        "picture": (picture, picture),
        "words": (["a", None], ["a", None]),
        "labels": ([3, 1], [3, 1]),
        "day": (when.date(), "2024-02-29"),
        "when": (when, "2024-02-29T12:30:00+00:00"),
        "price": (decimal.Decimal("1.50"), 1.5),
        "taken": (datetime.timedelta(seconds=1.5), 1.5),
        "inner": ({"day": [when.date()]}, {"day": ["2024-02-29"]}),
    }
    path = tmp_path / "a.parquet"
    found = rows(path, {name: [written, None] for name, (written, _) in cells.items()})
    assert found == [{name: read for name, (_, read) in cells.items()}, dict.fromkeys(cells)]
    assert columns_of(path) == list(cells)


def test_nanoseconds_are_rounded(tmp_path):
    times = pa.array([1_000_000_001], pa.timestamp("ns"))
    taken = pa.array([1_500_000_001], pa.duration("ns"))
    found = rows(tmp_path / "a.parquet", {"a": times, "b": taken})
    assert found == [{"a": "1970-01-01T00:00:01", "b": 1.5}]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.list_(pa.float32()), [0.5, 1.5]),
        (pa.list_(pa.float64()), []),
        (pa.list_(pa.uint8(), 2), [1, 2]),
        (pa.list_(pa.list_(pa.float32(), 2)), [[1, 2], [3, 4], [5, 6]]),
        (pa.fixed_shape_tensor(pa.float32(), (2, 1)), [[1.0], [2.0]]),
    ],
    ids=str,
)
def test_lists_of_numbers_are_arrays(tmp_path, kind, value):
    if isinstance(kind, pa.FixedShapeTensorType):
        column = pa.FixedShapeTensorArray.from_numpy_ndarray(np.array([value] * 3, np.float32))
        count = 3
    else:
        column, count = pa.array([value, None, value], kind), 2
    found = [row["a"] for row in rows(tmp_path / "a.parquet", {"a": column})]
    present = [cell for cell in found if cell is not None]
    assert len(present) == count
    for cell in present:
        assert isinstance(cell, np.ndarray) and cell.dtype != object
        np.testing.assert_array_equal(cell, np.array(value))


def test_ragged_lists_stay_lists(tmp_path):
    column = pa.array([[[1.0], [2.0, 3.0]]], pa.list_(pa.list_(pa.float32())))
    assert rows(tmp_path / "a.parquet", {"a": column}) == [{"a": [[1.0], [2.0, 3.0]]}]


def test_rows_are_numbered_over_all_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "BATCH_ROWS", 3)
    rows(tmp_path / "a.parquet", {"a": list(range(10))})
    assert list(read_rows(tmp_path / "a.parquet")) == [(i + 1, {"a": i}) for i in range(10)]


@pytest.mark.parametrize("stored", [True, False])  # whether it says that it is a dictionary
def test_a_long_text_of_every_row_is_not_held_for_every_row(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(reader, "WORST_BYTES", 5_000_000)
    text = "x" * 1_000_000
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), pa.array([text]))
    parquet.write_table(pa.table({"a": texts}), tmp_path / "a.parquet", store_schema=stored)
    tracemalloc.start()
    assert all(row["a"] == text for _, row in read_rows(tmp_path / "a.parquet"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_an_absent_column_and_another_file_are_refused(tmp_path):
    rows(tmp_path / "a.parquet", {"a": [1]})
    with pytest.raises(ValueError, match=r"a\.parquet: expected columns \['b'\], got \['a'\]"):
        next(read_rows(tmp_path / "a.parquet", required=("b",)))
    (tmp_path / "b.parquet").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"b\.parquet: expected a Parquet file, got another"):
        next(read_rows(tmp_path / "b.parquet"))
