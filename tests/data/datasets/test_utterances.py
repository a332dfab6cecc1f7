"""Utterances of videos: every kind of table, ragged lengths, neighbours, and bad rows."""

import json

import h5py
import numpy as np
import pyarrow.parquet
import pytest

from mmjax.data.datasets import Utterances
from mmjax.data.datasets.utterances import targets_of

RNG = np.random.default_rng(0)
COUNT = 12
LENGTHS = {"text": RNG.integers(1, 6, COUNT), "audio": RNG.integers(1, 9, COUNT)}
ROWS = [
    {
        "text": RNG.normal(size=(LENGTHS["text"][i], 3)).astype(np.float32),
        "audio": RNG.normal(size=(LENGTHS["audio"][i], 2)).astype(np.float32),
        "score": float(np.round(RNG.uniform(-3, 3), 2)),
        "video": f"v{i % 3}",
        "position": i // 3,
        "split": ("train", "dev", "test")[i % 3],
    }
    for i in range(COUNT)
]


def write(folder, kind, rows=ROWS):
    path = folder / f"rows.{kind}"
    if kind == "npz":
        columns = {}
        for name in rows[0]:
            cells = [row[name] for row in rows]
            if name in LENGTHS:  # padded with zeros
                padded = np.zeros((len(rows), max(map(len, cells)), cells[0].shape[1]), np.float32)
                for values, cell in zip(padded, cells, strict=True):
                    values[: len(cell)] = cell
                cells = padded
            columns[name] = np.array(cells)
        np.savez(path, **columns)
    elif kind == "parquet":
        cells = [{k: v.tolist() if k in LENGTHS else v for k, v in row.items()} for row in rows]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(cells), path)
    elif kind == "jsonl":
        cells = [{k: v.tolist() if k in LENGTHS else v for k, v in row.items()} for row in rows]
        path.write_text("\n".join(map(json.dumps, cells)))
    elif kind == "h5":
        write(folder, "npz", rows)
        with np.load(folder / "rows.npz") as columns, h5py.File(path, "w") as file:
            for name, cells in columns.items():
                file[name] = cells.tolist() if cells.dtype.kind == "U" else cells
    else:  # csv of .npy files and matrices in turn, every other matrix with a header
        lines = [",".join(rows[0])]
        for i, row in enumerate(rows):
            end = "npy" if i % 2 else "csv"
            for name in LENGTHS:
                if i % 2:
                    np.save(folder / f"{name}{i}.npy", row[name])
                    continue
                head = ",".join(f"{name}_{k}" for k in range(row[name].shape[1]))
                file, first = folder / f"{name}{i}.csv", head if i % 4 else ""
                np.savetxt(file, row[name], delimiter=",", header=first, comments="")
            cells = [f"{k}{i}.{end}" if k in LENGTHS else str(v) for k, v in row.items()]
            lines.append(",".join(cells))
        path.write_text("\n".join(lines))
    return path


def data(path, **fields):
    fields = {"split": "split", "modalities": ("text", "audio")} | fields
    return Utterances(file=path.name, data_dir=str(path.parent), **fields)


@pytest.mark.parametrize("kind", ["npz", "csv", "jsonl", "parquet", "h5"])
def test_every_kind_of_table_has_the_same_rows(kind, tmp_path):
    one = data(write(tmp_path, kind))
    one.prepare()
    source = one.source("test")
    examples = source.read(np.arange(len(source)), None)
    own = [row for row in ROWS if row["split"] == "test"]
    for name in LENGTHS:
        for found, row in zip(examples.inputs[name], own, strict=True):
            np.testing.assert_allclose(found, row[name], rtol=1e-6)
    assert examples.targets["score"] == [row["score"] for row in own]
    assert one.facts()["rows"] == {"train": 4, "validation": 4, "test": 4}


def test_the_context_is_the_means_of_the_utterances_around(tmp_path):
    path = write(tmp_path, "npz")
    source = data(path, context=1).source("train")
    found = source.read(np.arange(4), None).inputs["context"]
    assert [rows[:, -1].tolist() for rows in found] == [[0, 1], [-1, 0, 1], [-1, 0, 1], [-1, 0]]
    before = ROWS[0]  # of the second utterance of the video v0
    expected = np.concatenate([before["text"].mean(axis=0), before["audio"].mean(axis=0)])
    np.testing.assert_allclose(found[1][0, :-1], expected, rtol=1e-5)


def test_a_prediction_does_not_see_what_is_predicted(tmp_path):
    path = write(tmp_path, "npz")
    source = data(path, context=2, ahead=1).source("train")
    examples = source.read(np.arange(4), None)
    assert all(rows[-1, -1] == 0 for rows in examples.inputs["context"])
    scores = [row["score"] for row in ROWS if row["video"] == "v0"]
    assert examples.targets["score"] == [*scores[1:], None]


def test_videos_are_not_divided_where_the_split_is_drawn(tmp_path):
    rows = [{**ROWS[0], "video": f"v{i // 5}", "position": i} for i in range(300)]
    one = data(write(tmp_path, "npz", rows), split=None)
    videos = [{row.video for row in one.rows if row.split == split} for split in range(3)]
    assert all(videos) and sum(map(len, videos)) == 60


def test_scores_become_classes_and_signs():
    found = targets_of([-2.6, 0.0, 0.4, None, 3.0])
    assert found["class"] == ["-3", "0", "0", None, "3"]
    assert found["positive"] == [0.0, None, 1.0, None, 1.0]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"score": 4.0}, r"rows.npz: row 3: score: expected a score of -3 to 3"),
        ({"text": np.full((2, 3), np.nan, np.float32)}, "row 3: text: expected finite numbers"),
        ({"split": "holdout"}, "row 3: split: got 'holdout', choose from"),
    ],
)
def test_a_bad_row_is_named(change, message, tmp_path):
    rows = [*ROWS]
    rows[2] = {**rows[2], **change}
    with pytest.raises(ValueError, match=message):
        data(write(tmp_path, "npz", rows)).prepare()


def test_a_bad_line_of_a_matrix_is_named(tmp_path):
    path = write(tmp_path, "csv")
    (tmp_path / "text2.csv").write_text("1,2,3\n4,5\n")
    with pytest.raises(ValueError, match=r"row 4: .*text2\.csv:2: expected 3 cells, got 2"):
        data(path).prepare()


def test_an_empty_modality_and_an_empty_score_are_missing(tmp_path):
    rows = [*ROWS]
    rows[0] = {**rows[0], "text": np.zeros((1, 3), np.float32), "score": np.nan}
    one = data(write(tmp_path, "npz", rows), context=1)
    examples = one.source("train").read(np.arange(4), None)
    assert examples.inputs["text"][0] is None and examples.targets["score"][0] is None
    assert not one.preprocessing()(examples.inputs)["text"].mask[0].any()
    assert np.all(examples.inputs["context"][0][0, :3] == 0)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"context": -1}, "context, ahead: expected 0 or more"),
        ({"modalities": ("context",)}, "none called 'context'"),
        ({"modalities": ("smell",)}, "no column 'smell'; choose from text, audio"),
        ({"file": ""}, "--data.file: expected a table of utterances"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(fields, message, tmp_path):
    path = write(tmp_path, "npz")
    with pytest.raises(ValueError, match=message):
        Utterances(**{"file": path.name, "data_dir": str(tmp_path), **fields}).prepare()
