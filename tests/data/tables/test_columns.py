"""Every kind of column from every kind of file: the model sees the same."""

import dataclasses
import io
import json
from collections import Counter

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from mmjax.data.datasets import TableData
from mmjax.data.tables import columns as kinds
from mmjax.errors import UserError
from mmjax.io.tables import RowError
from tests.data.media.dicoms import dicom
from tests.data.tables.made import column, everything, made, splits, write

COUNT = 20
COLUMNS = {
    "image": kinds.ImageColumn(size=(4, 4)),
    "text": kinds.TextColumn(),
    "sound": kinds.SoundColumn(sample_rate=100, max_samples=20),
    "touch": kinds.FeaturesColumn(),
    "walk": kinds.SeriesColumn(),
    "cloud": kinds.PointsColumn(max_points=3),
    "table": kinds.TableColumn(("age", "sex")),
    "match": kinds.BinaryColumn(),
    "label": kinds.ClassColumn(),
    "tags": kinds.MultiLabelColumn(),
    "weight": kinds.NumberColumn(),
    "person": kinds.GroupColumn(),
}


def values():
    """{column: COUNT values}, none missing."""
    rng = np.random.default_rng(0)
    return {
        "image": [rng.integers(0, 256, (5, 6, 3), np.uint8) for _ in range(COUNT)],
        "text": [f"cup {'of tea' * (i % 2)}" for i in range(COUNT)],
        "sound": [rng.uniform(-1, 1, 30).astype(np.float32) for _ in range(COUNT)],
        "touch": [rng.normal(size=(2, 3)).astype(np.float32) for _ in range(COUNT)],
        "walk": [rng.normal(size=(4, 2)).astype(np.float32) for _ in range(COUNT)],
        "cloud": [rng.normal(size=(5, 3)).astype(np.float32) for _ in range(COUNT)],
        "age": [20 + i for i in range(COUNT)],
        "sex": ["fm"[i % 2] for i in range(COUNT)],
        "match": [i % 3 == 0 for i in range(COUNT)],
        "label": [i % 3 for i in range(COUNT)],
        "tags": [["big", "red"][: 1 + i % 2] for i in range(COUNT)],
        "weight": [i / 8 for i in range(COUNT)],
        "person": [f"p{i % 4}" for i in range(COUNT)],
        "split": splits(COUNT),
    }


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def wave(samples):
    file = io.BytesIO()
    wavfile.write(file, 100, samples)
    return file.getvalue()


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def as_csv(folder, found):
    """Paths of files in cells, and what else is a text."""
    for name, end in (("image", "png"), ("sound", "wav"), ("touch", "npy"), ("walk", "csv")):
        for i, value in enumerate(found[name]):
            path = folder / f"{name}{i}.{end}"
            match end:
                case "csv":
                    np.savetxt(path, value, fmt="%.9g", delimiter=",", header="x,y", comments="")
                case "npy":
                    np.save(path, value)
                case _:
                    path.write_bytes(encoded(value) if end == "png" else wave(value))
        found[name] = [f"{name}{i}.{end}" for i in range(COUNT)]
    found["cloud"] = [f"cloud{i}.npy" for i in range(COUNT)]
    for i, value in enumerate(values()["cloud"]):
        np.save(folder / f"cloud{i}.npy", value)
    found["tags"] = ["; ".join(tags) for tags in found["tags"]]
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    write(folder / "rows.csv", rows)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def as_parquet(folder, found):
    """Bytes of pictures, sounds and .npy files, lists of numbers and texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found["image"] = [encoded(pixels) for pixels in found["image"]]
    found["sound"] = [wave(samples) for samples in found["sound"]]
    found["label"] = [float(label) for label in found["label"]]  # as pandas has them
    found["touch"] = [saved(value) for value in found["touch"]]
    for name in ("walk", "cloud"):
        found[name] = [value.tolist() for value in found[name]]
    pq.write_table(pa.table(found), folder / "rows.parquet")


def as_npz(folder, found):
    """Arrays; sounds and lists of labels have no place in one."""
    found["tags"] = ["; ".join(tags) for tags in found["tags"]]
    del found["sound"]
    np.savez(folder / "rows.npz", **{name: np.array(value) for name, value in found.items()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same table as CSV, JSON lines, Parquet and .npz."""
    folder = tmp_path_factory.mktemp("columns")
    for make in (as_csv, as_parquet, as_npz):
        make(folder, values())
    return folder


def seen(data, split="train"):
    """What a model sees of a split."""
    source, fitted = data.source(split), data.preprocessing()
    found = source.read(np.arange(len(source)), None)
    return fitted(found.inputs) | fitted.targeted(found.targets, np.arange(len(source)))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet", "rows.npz"])
def test_a_model_sees_the_same_whatever_the_container(folder, name):
    columns = {n: c for n, c in COLUMNS.items() if n != "sound" or "npz" not in name}
    fields = {"data_dir": str(folder), "split": "split", "columns": columns}
    first, other = (seen(TableData(file, **fields)) for file in ("rows.csv", name))
    assert first.keys() == other.keys() == columns.keys()
    for key, one in first.items():
        assert one.mask.any() and np.isfinite(one.values).all()
        np.testing.assert_allclose(other[key].values, one.values, atol=1e-5, err_msg=key)
        np.testing.assert_array_equal(other[key].mask, one.mask)
    targets = TableData(name, **fields).preprocessing().targets
    assert targets["label"].names == ("0", "1", "2")


def test_what_the_columns_hold_is_what_was_written(folder):
    data = TableData("rows.csv", str(folder), COLUMNS, split="split")
    wanted, found = values(), everything(data, "train")
    rows = [i for i, split in enumerate(wanted["split"]) if split == "train"]
    for name in ("touch", "walk", "text", "weight", "tags"):
        for row, value in zip(rows, found[name], strict=True):
            np.testing.assert_array_equal(value, wanted[name][row])
    # Of five points, three that are evenly spaced.
    np.testing.assert_array_equal(found["cloud"][0], wanted["cloud"][0][[0, 2, 4]])
    assert found["table"][1] == {"age": "21", "sex": "m"}


def test_features_are_rows_of_a_matrix_or_ragged_ones_by_offsets(tmp_path):
    matrix = np.arange(60, dtype=np.float32).reshape(20, 3)
    np.save(tmp_path / "matrix.npy", matrix)
    np.save(tmp_path / "offsets.npy", np.array([0, 1, 4, 4, 10, 20]))
    rows = [{"x": (i * 7) % 20, "match": i % 2, "split": s} for i, s in enumerate(splits(20))]
    kind = kinds.FeaturesColumn(matrix="matrix.npy")
    data = made(tmp_path, rows, {"x": kind, "match": kinds.BinaryColumn()}, split="split")
    numbers = [row["x"] for row in rows if row["split"] == "train"]
    np.testing.assert_array_equal(np.stack(everything(data, "train")["x"]), matrix[numbers])

    rows = [row | {"x": i % 5} for i, row in enumerate(rows)]
    ragged = {"x": dataclasses.replace(kind, offsets="offsets.npy"), "match": kinds.BinaryColumn()}
    data = made(tmp_path, rows, ragged, split="split")
    found = everything(data, "train")["x"][:3]
    for value, wanted in zip(found, (matrix[:1], matrix[1:4], matrix[4:4]), strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert data.facts()["columns"]["x"]["flaws"] == {"cut": 8, "empty": 4}
    assert seen(data)["x"].mask.sum(axis=1)[:3].tolist() == [1, 3, 0]


@pytest.mark.parametrize(
    ("files", "cell", "message"),
    [
        ({}, 20, r"expected a row of matrix\.npy, 0 to 19, got '20'"),
        ({}, -1, "expected a row"),
        ({}, 1.5, "expected a row"),
        ({}, "one", "expected a row"),
        ({"matrix": np.float32(3)}, 1, r"matrix\.npy: expected a \.npy file with rows of numbers"),
        ({"matrix": np.array(["a", "b"])}, 1, r"matrix\.npy: expected a \.npy file with rows"),
        ({"matrix": None}, 1, r"matrix\.npy: expected a \.npy file of numbers"),
        ({"offsets": np.array([0.0, 5.0])}, 0, r"offsets\.npy: expected a \.npy file with rows"),
    ],
)
def test_what_is_no_row_of_a_matrix_is_named(tmp_path, files, cell, message):
    for name, content in ({"matrix": np.ones((20, 3)), "offsets": None} | files).items():
        if content is not None:
            np.save(tmp_path / f"{name}.npy", content)
    offsets = "offsets.npy" * ("offsets" in files)
    kind = kinds.FeaturesColumn(matrix="matrix.npy", offsets=offsets)
    rows = [{"x": cell, "match": i % 2, "split": split} for i, split in enumerate(splits(5))]
    data = made(tmp_path, rows, {"x": kind, "match": kinds.BinaryColumn()}, split="split")
    with pytest.raises(RowError, match=rf"rows\.csv:2: column 'x': .*{message}"):
        data.prepare()


def test_balance_draws_every_class_equally_often_in_training_alone(tmp_path):
    label = ["a"] * 31 + ["b"] * 12 + ["c"] * 2 + [""] * 5
    rows = [{"text": f"t{i}", "label": name, "split": "train"} for i, name in enumerate(label)]
    tested = [("validation", "a"), ("test", "a"), ("test", "a"), ("test", "b")]
    rows += [{"text": "t", "label": label, "split": split} for split, label in tested]
    columns = {"text": kinds.TextColumn(), "label": kinds.ClassColumn()}
    data = made(tmp_path, rows, columns, split="split")
    even = dataclasses.replace(data, balance="label")
    found = everything(even, "train")
    assert Counter(found["label"]) == {"a": 31, "b": 31, "c": 31, None: 5}
    counts = Counter(found["text"])
    assert set(counts) == {row["text"] for row in rows[:50]}
    assert {counts[f"t{i}"] for i in range(31, 43)} == {2, 3}, "as evenly as it goes"
    assert column(even, "label")["test"] == ["a", "a", "b"]
    assert even.preprocessing() == data.preprocessing() and even.facts()["rows"]["train"] == 50
    jax.tree.map(np.testing.assert_array_equal, seen(even, "test"), seen(data, "test"))


def test_the_flags_of_pictures_reach_their_readers(folder):
    picture = kinds.ImageColumn(size=(4, 4), pixel_limit=10)
    with pytest.raises(UserError, match=r"at most 10 pixels \(pixel_limit\)"):
        picture.read("image0.png", folder)
    levels = np.arange(16, dtype=np.uint16).reshape(4, 4) * 100
    windowed = kinds.ImageColumn(size=(4, 4), grey=True, window=(500.0, 100.0))
    narrow = windowed.read(dicom(levels), folder)
    assert narrow.min() == 0 and narrow.max() == 65_535 and len(np.unique(narrow)) <= 4
    # A window alone lifts no limit: this file claims more pixels than are read.
    huge = dicom(levels, Rows=20_000, Columns=20_000)
    with pytest.raises(UserError, match="at most 50,000,000 pixels"):
        kinds.ImageColumn(window=(500.0, 100.0)).read(huge, folder)
