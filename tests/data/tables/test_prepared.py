"""Rows on disk: equal to rows in memory, written by threads or processes, resumed, read by TFDS."""

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.io import wavfile

from mmjax.data.dataset import SPLITS
from mmjax.data.pipeline.batches import train_batches
from mmjax.data.tables import checking, prepared, shards
from mmjax.data.tables import columns as kinds
from mmjax.data.tables.packing import unpack
from mmjax.data.tables.reading import Reader
from mmjax.data.tables.splits import content
from mmjax.errors import StorageError, UserError
from tests.data.tables.made import column, everything, made, picture, splits

COLUMNS = {
    "image": kinds.ImageColumn(size=(8, 8)),
    "text": kinds.TextColumn(),
    "sound": kinds.SoundColumn(sample_rate=100, max_samples=20),
    "touch": kinds.FeaturesColumn(),
    "table": kinds.TableColumn(("sex", "age")),
    "label": kinds.ClassColumn(),
    "tags": kinds.MultiLabelColumn(),
    "weight": kinds.NumberColumn(),
}


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A data set of every kind of column with missing cells; prepared in a folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    wavfile.write(tmp_path / "a.wav", 100, np.linspace(-1, 1, 30, dtype=np.float32))
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
    rows = [
        {
            "image": picture(tmp_path / f"{i % 7}.png", i % 7) if i % 4 else "",
            "text": f"cup {i}" if i % 5 else "",
            "sound": "a.wav" if i % 3 else "",
            "touch": "a.npy" if i % 3 else "[1, 2]",
            "age": i,
            "sex": "fm"[i % 2],
            "label": "abc"[i % 3],
            "tags": ("red; big", "big", "")[i % 3],
            "weight": i / 7 if i % 6 else "",
            "split": split,
        }
        for i, split in enumerate(splits(40))
    ]
    fields = {"split": "split", "prepared": str(tmp_path / "prepared"), "on_bad_row": "mask"}
    return made(tmp_path, rows, COLUMNS, **fields)


def folders(data):
    return sorted(Path(data.prepared, prepared.NAME).iterdir())


def on_disk(data, workers=0):
    """The same data, read anew from shards."""
    again = dataclasses.replace(data, memory=0.0)
    again.prepare(on_disk=True, workers=workers)
    assert not again._built.store.held
    return again


def assert_alike(a, b):
    assert b.facts() == a.facts() and list(b.faults) == list(a.faults)
    jax.tree.map(np.testing.assert_array_equal, a.preprocessing(), b.preprocessing())
    for split in SPLITS:
        first, second = everything(a, split), everything(b, split)
        assert first.keys() == second.keys()
        for name in first:
            for one, other in zip(first[name], second[name], strict=True):
                assert type(one) is type(other) and content(one) == content(other)


def test_rows_on_disk_are_those_in_memory_and_come_in_the_same_batches(table):
    assert table._built.store.held
    disk = on_disk(table)
    assert_alike(table, disk)
    batches = [
        list(
            islice(
                train_batches(
                    data, data.source("train"), data.preprocessing(), batch_size=8, seed=3, start=2
                ),
                4,
            )
        )
        for data in (table, disk)
    ]
    jax.tree.map(np.testing.assert_array_equal, *batches)


def test_more_rows_than_the_memory_may_hold_are_prepared_once(table, monkeypatch):
    small = dataclasses.replace(table, memory=1e-6)
    assert small.facts() == table.facts()
    assert not small._built.store.held and len(folders(small)) == 1
    monkeypatch.setattr(Reader, "__call__", lambda *_: pytest.fail("read again"))
    assert_alike(small, dataclasses.replace(small))
    whole = dataclasses.replace(small, memory=None)
    assert_alike(small, whole)
    assert whole._built.store.held, "what fits is held, also where it is prepared"


def test_a_second_start_reads_no_row(tmp_path, monkeypatch):
    """What all rows are read for is kept beside them; so are rows that the transforms refuse."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"x": "[1, 2]" if i != 8 else "[1, 2, 3]", "y": "ab"[i == 0], "split": split}
        for i, split in enumerate(splits(60))
    ]
    rows[9]["y"] = "never trained on"
    columns = {"x": kinds.FeaturesColumn(), "y": kinds.ClassColumn()}
    places = {"prepared": str(tmp_path / "prepared"), "split": "split"}
    table = made(tmp_path, rows, columns, on_bad_row="mask", **places)
    first = on_disk(table)
    assert [fault.outcome for fault in first.faults] == ["masked", "skipped"]
    with monkeypatch.context() as patch:
        patch.setattr(shards.Shards, "take", lambda *_: pytest.fail("read again"))
        again = dataclasses.replace(first)
        assert again.facts() == first.facts()
    assert_alike(first, again)
    assert_alike(table, again)
    (folder,) = folders(table)
    other = dataclasses.replace(first, balance="y")
    assert other.facts() != first.facts(), "warnings differ, so rows are checked again"
    assert checking.load(folder, "y") and not checking.load(folder, None)
    monkeypatch.setattr(checking.os, "access", lambda *_: False)
    assert dataclasses.replace(first).facts() == first.facts()
    assert checking.load(folder, "y"), "a folder that cannot be written stays as it is"
    with monkeypatch.context() as patch:
        patch.setattr(checking.importlib.metadata, "version", lambda _: "another")
        assert not checking.load(folder, "y")
    (folder / "preprocessing.json").write_text("{}")
    assert not checking.load(folder, "y"), "what is damaged is found again"


def test_processes_write_what_threads_write_and_few_files_are_open_at_once(table, monkeypatch):
    monkeypatch.setattr(prepared, "_ROWS", 7)
    monkeypatch.setattr(shards, "_OPEN", 2)
    disk = on_disk(table, workers=2)
    assert_alike(table, disk)
    assert disk._built.store._open.cache_info().currsize == 2


def test_parts_that_are_finished_are_not_read_again_after_an_interruption(table, monkeypatch):
    monkeypatch.setattr(prepared, "_ROWS", 7)
    written, write, read = [], prepared._write, Reader.__call__

    def stopped(folder, number, reader, part):
        if number == 3:
            raise KeyboardInterrupt
        written.append(part)
        write(folder, number, reader, part)

    monkeypatch.setattr(prepared, "_write", stopped)
    with pytest.raises(KeyboardInterrupt):
        on_disk(table)
    (folder,) = folders(table)
    marks = list(folder.glob("part-*.json"))
    assert marks and not (folder / prepared.INDEX).exists()
    done = {int(mark.stem.removeprefix("part-")) for mark in marks}

    again = []
    monkeypatch.setattr(prepared, "_write", write)
    monkeypatch.setattr(
        Reader,
        "__call__",
        lambda self, place, cells: again.append(place) or read(self, place, cells),
    )
    disk = on_disk(table)
    lines = {line for line in range(2, 42) if (line - 2) // 7 not in done}
    assert sorted(again) == sorted(lines)
    assert folders(table) == [folder] and not list(folder.glob("part-*"))
    monkeypatch.undo()
    assert_alike(table, disk)


def test_two_trainings_prepare_a_table_once(table, monkeypatch):
    monkeypatch.setattr(prepared, "_ROWS", 7)
    places, read = [], Reader.__call__
    monkeypatch.setattr(
        Reader,
        "__call__",
        lambda self, place, cells: places.append(place) or read(self, place, cells),
    )
    with ThreadPoolExecutor(2) as executor:
        first, second = executor.map(lambda _: on_disk(table), range(2))
    assert len(places) == 40
    monkeypatch.undo()
    assert_alike(first, second)


def test_changed_files_or_cells_are_prepared_anew_and_what_was_prepared_is_kept(table, tmp_path):
    first = on_disk(table)
    picture(tmp_path / "1.png", 99)
    second = on_disk(table)
    assert second.facts()["digest"] != first.facts()["digest"]
    (tmp_path / "rows.csv").write_text((tmp_path / "rows.csv").read_text().replace("cup 1,", "x,"))
    on_disk(table)
    on_disk(dataclasses.replace(table, columns=COLUMNS | {"image": kinds.ImageColumn(size=(4, 4))}))
    assert len(folders(table)) == 4


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_shard_is_an_error_that_names_the_folder(table, damage):
    disk = on_disk(table)
    (folder,) = folders(disk)
    for path in folder.glob("*array_record*"):
        raw = np.frombuffer(path.read_bytes(), np.uint8)
        path.write_bytes(bytes(raw[:1000] if damage == "cut" else raw ^ 1))
        if damage == "gone":
            path.unlink()
    with pytest.raises(StorageError, match=f"{folder}: expected prepared rows.*delete this folder"):
        for split in SPLITS:
            everything(dataclasses.replace(disk), split)


def test_what_was_prepared_is_a_data_set_of_tfds(table):
    import tensorflow_datasets as tfds

    (folder,) = folders(on_disk(table))
    builder = tfds.builder_from_directory(str(folder))
    assert {name: info.num_examples for name, info in builder.info.splits.items()} == {
        "train": 24,
        "validation": 8,
        "test": 8,
    }
    record = builder.as_data_source("test")[3]
    assert unpack(record["label"]) == column(table, "label")["test"][3]


def test_rows_that_cannot_be_read_are_masked_or_skipped_as_in_memory(table, tmp_path):
    text = (tmp_path / "rows.csv").read_text()
    (tmp_path / "2.png").write_bytes(b"no picture")
    np.save(tmp_path / "b.npy", np.ones(5))  # of another width: seen only after all rows are read
    text = text.replace("cup 7,a.wav,a.npy", "cup 7,a.wav,b.npy")
    text = text.replace("1.4285714285714286", "heavy") + "too,few,cells\n"
    (tmp_path / "rows.csv").write_text(text)
    for policy in ("mask", "skip"):
        data = dataclasses.replace(table, on_bad_row=policy)
        assert data.facts()["skipped"] and len(data.faults) > 4
        assert_alike(data, on_disk(data))
    with pytest.raises(UserError, match=r"rows\.csv:42: expected 10 cells, got 3"):
        on_disk(dataclasses.replace(table, on_bad_row="stop"))


def test_a_split_without_rows_is_said_before_anything_is_written(table, tmp_path):
    text = (tmp_path / "rows.csv").read_text()
    (tmp_path / "rows.csv").write_text(text.replace(",validation\n", ",train\n"))
    with pytest.raises(UserError, match=r"expected rows in every split, got .*'validation': 0"):
        on_disk(table)
    assert not (tmp_path / "prepared").exists()


MEMORY = """
import resource, sys
from itertools import islice
import jax, pyarrow, tensorflow_datasets
from mmjax.data.datasets import TableData
from mmjax.data.pipeline.batches import train_batches
from mmjax.data.tables import columns as kinds

columns = {"image": kinds.ImageColumn(size=(64, 64)), "table": kinds.TableColumn(("age",))}
columns["label"] = kinds.ClassColumn()
data = TableData(sys.argv[1], columns=columns, memory=1e-3, prepared=sys.argv[2])
data.prepare()
source, fitted = data.source("train"), data.preprocessing()
assert not data._built.store.held
list(islice(train_batches(data, source, fitted, batch_size=64, seed=0, start=0), 30))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """32,000 pictures take 400 MB when they are decoded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = (tmp_path / picture(tmp_path / "a.png", 0)).read_bytes()
    peaks = []
    for count in (4_000, 32_000):
        ids = np.arange(count)
        cells = {"image": [content + b"%d" % i for i in ids], "age": ids / 7}
        cells["label"] = [f"c{i % 3}" for i in ids]
        pq.write_table(pa.table(cells), tmp_path / f"{count}.parquet", row_group_size=1000)
        command = [sys.executable, "-c", MEMORY, tmp_path / f"{count}.parquet", tmp_path / "out"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
    assert peaks[1] - peaks[0] < 50, peaks
