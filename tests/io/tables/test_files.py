import io
import itertools
import pickle
import tarfile
import tracemalloc

import h5py
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mmjax.io import tables
from mmjax.io.tables import RowError, base_folder, columns_of, read_rows
from mmjax.io.tables.files import files_of


def test_several_files_are_one_table_whose_places_name_the_file(tmp_path):
    for number in (9, 10, 11):
        (tmp_path / f"p-{number:03d}.csv").write_text(f"a\n{number}\n1,2\n")
    for pattern in ("p-{009..011}.csv", "p-*.csv", "p-0{09,10,11}.csv", "{p,p}-{009..011}.csv"):
        times = 2 if pattern.startswith("{") else 1
        found = list(read_rows(tmp_path / pattern))
        assert [p for p, row in found if isinstance(row, dict)] == [
            "p-009.csv:2",
            "p-010.csv:2",
            "p-011.csv:2",
        ] * times
        assert str(found[1][1]) == f"{tmp_path}/p-009.csv:3: expected 1 cells, got 2"
        assert base_folder(tmp_path / pattern) == tmp_path
        assert columns_of(tmp_path / pattern) == ["a"]


def test_each_file_has_all_columns_of_the_first(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.jsonl").write_text('{"a": 3}\n')
    rows = dict(read_rows(tmp_path / "[12].*", required=("a",)))
    assert rows == {"1.csv:2": {"a": "1", "b": "2"}, "2.jsonl:1": {"a": 3, "b": None}}
    with pytest.raises(ValueError, match=r"2\.jsonl: expected columns \['b'\].*no column 'b'"):
        list(read_rows(tmp_path / "[12].*", required=("b",)))


def test_wildcards_may_stand_in_folders(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("a\n1\n")
    assert base_folder(tmp_path / "*" / "a.csv") == tmp_path
    places = [place for place, _ in read_rows(tmp_path / "{x,y}" / "a.csv")]
    assert places == ["x/a.csv:2", "y/a.csv:2"]
    assert base_folder(tmp_path / "x") == tmp_path / "x" == base_folder(tmp_path / "x" / "a.csv")


def test_a_name_that_looks_like_a_pattern_is_meant_itself(tmp_path):
    (tmp_path / "r[1]{a,b}.csv").write_text("a\n1\n")
    assert list(read_rows(tmp_path / "r[1]{a,b}.csv")) == [(2, {"a": "1"})]
    (tmp_path / "r[1]").mkdir()
    (tmp_path / "r[1]" / "a.csv").write_text("a\n1\n")
    assert base_folder(tmp_path / "r[1]" / "*.csv") == tmp_path / "r[1]"
    assert columns_of(tmp_path / "r[1]" / "*.csv") == ["a"]


def test_files_that_are_absent_are_named(tmp_path):
    (tmp_path / "0.csv").write_text("a\n")
    for name, message in {
        "no.csv": r"no\.csv: expected a table, got no file",
        "*.tsv": r"\*\.tsv: expected a table, got no file",
        "{0..1}.csv": r"1\.csv: expected a table, got no file at all; it is one of .*\{0\.\.1\}",
    }.items():
        with pytest.raises(FileNotFoundError, match=message):
            list(read_rows(tmp_path / name))


def test_a_pattern_of_endless_files_is_refused(tmp_path):
    (tmp_path / "aaaaaaaaaaaaaaaaaaaa").touch()
    with pytest.raises(ValueError, match="expected at most 100,000 files, got more"):
        files_of(tmp_path / ("{a,a}" * 20))
    with pytest.raises(ValueError, match=r"/0\.csv: expected a table, got no file"):
        files_of(tmp_path / "{0..999999999999}.csv")


def test_unknown_kinds_are_refused_with_those_that_are_known(tmp_path):
    for name in ("a.xlsx", "csv", "a"):
        (tmp_path / name).touch()
        with pytest.raises(ValueError, match=rf"{name}: expected a kind of table.* \.csv, \.tsv"):
            list(read_rows(tmp_path / name))
    with pytest.raises(ValueError, match="expected"):
        list(read_rows(tmp_path / "a\0.csv"))


def test_an_error_survives_being_sent_to_another_process():
    error = pickle.loads(pickle.dumps(RowError("a.csv", 3, "wrong")))
    assert (str(error), error.place, error.reason) == ("a.csv:3: wrong", 3, "wrong")


def _write(path, rows):
    """A table of so many rows of 1,000 bytes."""
    match path.suffix:
        case ".csv":
            path.write_text("a,b\n" + f"1,{'x' * 996}\n" * rows)
        case ".jsonl":
            path.write_text(f'{{"a": 1, "b": "{"x" * 980}"}}\n' * rows)
        case ".npz":
            np.savez_compressed(path, a=np.arange(rows), b=np.zeros((rows, 248), np.float32))
        case ".h5":
            with h5py.File(path, "w") as file:
                file["b"] = np.zeros((rows, 250), np.float32)
        case ".parquet":
            columns = {"a": np.arange(rows), "b": [f"{row:0990}" for row in range(rows)]}
            parquet.write_table(pa.table(columns), path, use_dictionary=False)
        case ".tar":
            with tarfile.open(path, "w") as archive:
                for row in range(rows):
                    member = tarfile.TarInfo(f"{row}.jpg")
                    member.size = 488
                    archive.addfile(member, io.BytesIO(bytes(488)))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "npz", "h5", "parquet", "tar"])
def test_memory_does_not_grow_with_the_rows(tmp_path, kind, monkeypatch):
    for module in (tables.hdf5, tables.parquet):
        monkeypatch.setattr(module, "BATCH_ROWS", 100)
    path = tmp_path / f"a.{kind}"
    _write(path, 5000)
    assert sum(1 for _ in itertools.islice(read_rows(path), 300)) == 300  # what is loaded once
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path)) == 5000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
