"""A user's own table: read, refused, skipped, masked, split, and trained on end to end."""

import csv
import dataclasses
import json
import pickle

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from mmjax.data.datasets import TableData
from mmjax.data.subset import Subset
from mmjax.data.tables import columns as kinds
from mmjax.evaluation.evaluate import evaluate
from mmjax.evaluation.predictions import Predictor, read_table
from mmjax.io.tables import RowError
from mmjax.train.loop.fit import fit
from tests.config.experiments import small
from tests.data.transforms.tokenizers import bert_json

TEXT = {"text": kinds.TextColumn(), "match": kinds.BinaryColumn()}
PLAIN = {"columns": TEXT, "split": "split"}
SPLITS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Reports are written where the user is, not where the data lies."""
    (tmp_path / "here").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def write(tmp_path, header, *rows):
    """rows.csv with these columns, a label and a split; its folder."""
    with (tmp_path / "data" / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "match", "split"])
        writer.writerows(rows)
    return str(tmp_path / "data")


def texts(tmp_path, *rows, **changes):
    """A data set of texts; the first three rows are good, one in each split."""
    good = [(f"good {split}", "1", split) for split in SPLITS]
    folder = write(tmp_path, ["text"], *good, *rows)
    return TableData(**(PLAIN | {"data_dir": folder} | changes))


def cells(tmp_path, kind, *found, **changes):
    """A data set of one other modality, x, all cells in the training split."""
    rows = [(cell, "1", "train") for cell in found] + [("", "0", s) for s in SPLITS[1:]]
    folder = write(tmp_path, ["x"], *rows)
    columns = {"x": kind, "match": kinds.BinaryColumn()}
    return TableData(columns=columns, split="split", data_dir=folder, **changes)


def everything(data, split="train"):
    source = data.source(split)
    return source.read(np.arange(len(source)), None)


def report(path="rows.skipped.csv"):
    with open(path, newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def test_rows_are_read_in_the_order_of_the_file_with_their_labels(tmp_path):
    data = texts(tmp_path, ("b", "0", "train"), ("", "1.0", "train"))
    data.prepare()
    found = everything(data)
    assert found.inputs == {"text": ["good train", "b", None]}
    assert found.targets == {"match": [1, 0, 1]}
    assert not any(tmp_path.joinpath("here").iterdir())


def test_the_file_may_be_named_from_the_current_folder(tmp_path, monkeypatch):
    data = texts(tmp_path)
    monkeypatch.chdir(data.data_dir)
    assert len(dataclasses.replace(data, data_dir=None).source("test")) == 1


def test_the_vocabulary_is_that_of_the_training_split_alone(tmp_path):
    words = texts(tmp_path, ("cup", "0", "train")).preprocessing().transforms["text"].vocabulary()
    assert {"good", "train", "cup"} <= set(words) and not {"test", "validation"} & set(words)


def test_an_existing_tokenizer_reads_the_texts(tmp_path):
    (tmp_path / "tokenizer.json").write_text(bert_json())
    column = kinds.TextColumn(tokenizer=str(tmp_path / "tokenizer.json"), max_words=9)
    data = texts(tmp_path, columns=TEXT | {"text": column})
    transform = data.preprocessing().transforms["text"]
    assert transform.max_words == 9 and "[CLS]" in transform.vocabulary()
    assert everything(data).inputs["text"] == ["good train"]


def test_targets_of_every_kind_are_fitted_and_an_empty_cell_is_a_missing_one(tmp_path):
    header = ["text", "match", "kind", "tags", "age", "split"]
    rows = [
        ("a", " Yes", "cat", "red; big", "40", "train"),
        ("b", "FALSE", "dog", "", "60", "train"),
        ("c", "", "", "big", "", "train"),
        ("d", "1", "bird", "red", "50", "validation"),
        ("e", "0", "dog", "big", "50", "test"),
    ]
    (tmp_path / "data" / "rows.csv").write_text(
        "\n".join(",".join(row) for row in [header, *rows]) + "\n"
    )
    columns = TEXT | {
        "kind": kinds.ClassColumn(unknown="missing"),
        "tags": kinds.MultiLabelColumn(),
        "age": kinds.NumberColumn(),
    }
    data = TableData(data_dir=str(tmp_path / "data"), split="split", columns=columns)
    preprocessing = data.preprocessing()
    assert preprocessing.targets["kind"].names == ("cat", "dog")
    assert preprocessing.targets["tags"].names == ("big", "red")
    found = preprocessing.targeted(everything(data).targets, np.arange(3))
    assert found["match"].values.tolist()[:2] == [1, 0]
    assert found["match"].mask.tolist() == found["age"].mask.tolist() == [True, True, False]
    assert found["tags"].values.tolist() == [[1, 1], [0, 0], [1, 0]]
    np.testing.assert_allclose(found["age"].values, [-1, 1, 0], atol=1e-6)
    unknown = preprocessing.targeted(everything(data, "validation").targets, np.arange(1))
    assert not unknown["kind"].mask.any()
    strict = dataclasses.replace(data, columns=columns | {"kind": kinds.ClassColumn()})
    with pytest.raises(RowError, match=r"rows\.csv:5: column 'kind': .* the class 'bird'; choose"):
        strict.preprocessing()


BAD = {
    "an unknown label": (("x", "2", "train"), "column 'match': expected 1 or 0, .*, got '2'"),
    "a label of no number": (("x", "nan", "train"), "column 'match': .* got 'nan'"),
    "an unknown split": (("x", "1", "later"), "column 'split': split: got 'later'"),
    "too few cells": (("x", "1"), "expected 3 cells, got 2"),
    "a NUL byte": (("x\0", "1", "train"), "expected text, got a NUL byte"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_stops_before_the_training_and_is_named(tmp_path, name):
    row, reason = BAD[name]
    with pytest.raises(RowError, match=rf"data/rows\.csv:5: {reason}"):
        texts(tmp_path, row).prepare()


@pytest.mark.parametrize("policy", ["skip", "mask"])
@pytest.mark.parametrize("name", BAD)
def test_a_row_without_label_or_split_is_skipped_and_reported(tmp_path, name, policy, capsys):
    data = texts(tmp_path, BAD[name][0], ("b", "0", "train"), on_bad_row=policy)
    data.prepare()
    assert everything(data).inputs["text"] == ["good train", "b"]
    header, (line, _, outcome, _) = report()
    assert header == ("line", "column", "outcome", "reason")
    assert (line, outcome) == ("5", "skipped")
    shown = capsys.readouterr().err
    assert "rows.csv: rows that could not be read: 1 skipped" in shown
    assert "lines and reasons: rows.skipped.csv" in shown


def hostile(tmp_path, kind):
    """A good cell, a hostile one, and the column that reads them."""
    folder = tmp_path / "data"
    match kind:
        case "picture":
            Image.new("L", (4, 4)).save(folder / "a.png")
            (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:-20])
            return "a.png", "b.png", kinds.ImageColumn(size=(3, 5), grey=True)
        case "picture of a missing file":
            Image.new("L", (4, 4)).save(folder / "a.png")
            return "a.png", "c.png", kinds.ImageColumn()
        case "sound":
            wavfile.write(folder / "a.wav", 100, np.zeros(9, np.float32))
            wavfile.write(folder / "b.wav", 100, np.full(9, np.nan, np.float32))
            return "a.wav", "b.wav", kinds.SoundColumn(sample_rate=100)
        case "features" | "features of another width":
            np.save(folder / "a.npy", np.ones((2, 3)))
            bad = np.ones(4) if "width" in kind else np.array([1, np.inf, 2])
            np.save(folder / "b.npy", bad)
            return "a.npy", "b.npy", kinds.FeaturesColumn()
        case "pickle":
            np.save(folder / "a.npy", np.ones(3))
            np.save(folder / "b.npy", np.array([{}], object), allow_pickle=True)
            return "a.npy", "b.npy", kinds.FeaturesColumn()
        case "table":
            return '{"age": 1, "sex": "f"}', '{"age": Infinity}', kinds.TableColumn()
        case "category for a number":
            return '{"age": 1}', '{"age": "old"}', kinds.TableColumn()
    return '{"age": 1}', "{", kinds.TableColumn()


KINDS = {
    "picture": r"b\.png: expected a PNG",
    "picture of a missing file": r"c\.png: .* no file at all",
    "sound": "NaN or infinity",
    "features": "NaN, infinity",
    "features of another width": r"expected floats \[token, 3\]",
    "pickle": r"b\.npy: expected a \.npy file of floats",
    "table": "column 'age': expected a finite number",
    "category for a number": "column 'age': expected a number, got 'old'",
    "no JSON": "expected a JSON object",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_cell_stops_is_skipped_or_is_masked(tmp_path, kind):
    good, bad, column = hostile(tmp_path, kind)
    data = cells(tmp_path, column, good, bad, good)
    with pytest.raises(RowError, match=rf"rows\.csv:3: column 'x': .*{KINDS[kind]}"):
        data.prepare()
    for policy, kept in (("skip", [True, True]), ("mask", [True, False, True])):
        found = dataclasses.replace(data, on_bad_row=policy)
        found.prepare()
        rows = everything(found).inputs["x"]
        assert [row is not None for row in rows] == kept
        outcome = {"skip": "skipped", "mask": "masked"}[policy]
        assert [row[:3] for row in report()[1:]] == [("3", "x", outcome)]
        inputs = found.preprocessing()({"x": rows})["x"]
        assert np.isfinite(inputs.values).all()
        assert np.reshape(inputs.mask, (len(rows), -1)).any(axis=1).tolist() == kept


def test_all_that_is_wrong_in_a_row_is_reported(tmp_path):
    good = [("a", '{"b": 1}', "1", split) for split in SPLITS]
    bad = [("a", "{", *rest) for rest in (("maybe", "later"), ("no idea", "test"), ("1", "test"))]
    folder = write(tmp_path, ["text", "x"], *good, *bad)
    columns = TEXT | {"x": kinds.TableColumn()}
    data = TableData(columns=columns, split="split", data_dir=folder, on_bad_row="mask")
    data.prepare()
    assert [row[:3] for row in report()[1:]] == [
        ("5", "split", "skipped"),
        ("6", "match", "skipped"),
        ("6", "x", "skipped"),
        ("7", "x", "masked"),
    ]


def test_a_report_is_written_anew_and_over_nothing_else(tmp_path, capsys):
    bad, named = ("x", "2", "train"), str(tmp_path / "named.csv")
    texts(tmp_path, bad, on_bad_row="skip", report=named).prepare()
    assert len(report(named)) == 2 and "1 skipped" in capsys.readouterr().err
    texts(tmp_path, on_bad_row="skip", report=named).prepare()
    assert report(named) == [("line", "column", "outcome", "reason")]
    assert not capsys.readouterr().err
    for other in (str(tmp_path / "data" / "rows.csv"), str(tmp_path)):
        before = (tmp_path / "data" / "rows.csv").read_bytes()
        with pytest.raises(ValueError, match="expected a report of skipped rows, or no file"):
            texts(tmp_path, on_bad_row="skip", report=other).prepare()
        assert (tmp_path / "data" / "rows.csv").read_bytes() == before


def test_reading_alone_writes_nothing(tmp_path):
    data = texts(tmp_path, ("x", "2", "train"), on_bad_row="skip")
    data.preprocessing()
    assert everything(data).inputs["text"] == ["good train"]
    assert not any(tmp_path.joinpath("here").iterdir())


def drawn(tmp_path, rows, **changes):
    """{row: its split}."""
    with (tmp_path / "data" / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "match", "who"], *rows])
    fields = PLAIN | {"split": None, "data_dir": str(tmp_path / "data")} | changes
    data = TableData(**fields)
    return [(split, text) for split in SPLITS for text in everything(data, split).inputs["text"]]


def test_splits_are_drawn_in_their_shares_and_stay_when_rows_are_added(tmp_path):
    rows = [(f"text {i}", i % 2, i // 10) for i in range(400)]
    before = drawn(tmp_path, rows, shares=(0.2, 0.3))
    counts = [sum(split == name for split, _ in before) for name in SPLITS]
    np.testing.assert_allclose(counts, [200, 80, 120], atol=30)
    again = [("new", 1, 3), *reversed(rows), ("text 1", 0, 7)]
    after = drawn(tmp_path, again, shares=(0.2, 0.3))
    assert set(before) == {place for place in after if place[1] != "new"}


def test_rows_of_one_group_are_drawn_into_one_split(tmp_path):
    rows = [(f"text {i}", 1, i // 10) for i in range(400)]
    places = dict(map(reversed, drawn(tmp_path, rows, group="who", shares=(0.3, 0.3))))
    for first in range(0, 400, 10):
        assert len({places[f"text {first + i}"] for i in range(10)}) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"match": kinds.BinaryColumn()}}, "expected a modality such as"),
        ({"columns": {"caption": kinds.TextColumn()}}, r"rows\.csv: .* no column 'caption'"),
        ({"columns": TEXT | {"fits": kinds.BinaryColumn()}}, r"rows\.csv: .* no column 'fits'"),
        ({"split": "part"}, r"rows\.csv: .* no column 'part'"),
        ({"split": None, "group": "who"}, r"rows\.csv: .* no column 'who'"),
        ({"split": None, "shares": (0.0, 0.0)}, "expected rows in every split, got .*--data.split"),
    ],
)
def test_what_the_file_cannot_give_is_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        texts(tmp_path, **changes).prepare()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.5), (float("nan"), 0.1)])
def test_shares_leave_something_to_train_on(shares):
    with pytest.raises(ValueError, match="shares: expected 0 or more, together below 1"):
        TableData(shares=shares)


def test_where_too_little_can_be_read_the_first_reason_is_said(tmp_path):
    lines = [f"{name}.png,{kind},{split}" for name, kind, split in (
        ("a", "x", "train"), ("b", "y", "train"), ("c", "z", "validation"), ("d", "x", "test")
    )]  # fmt: skip
    (tmp_path / "rows.csv").write_text("\n".join(["image,kind,split", *lines]) + "\n")
    for name in "abcd":
        Image.new("L", (4, 4), ord(name)).save(tmp_path / f"{name}.png")
    columns = {"image": kinds.ImageColumn(size=(4, 4)), "kind": kinds.ClassColumn()}
    data = TableData("rows.csv", str(tmp_path), columns, split="split", on_bad_row="mask")
    with pytest.raises(
        ValueError, match=r"got .*; 1 could not be read, the first: line 4, column 'kind': .*'z'"
    ):
        data.facts()
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"no picture")
    reason = "empty in every training row; 2 could not be read, the first: line 2, column 'image'"
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(data).facts()


def test_a_missing_table_is_named_with_its_folder_also_where_nothing_is_prepared():
    data = TableData("rows.csv", "nowhere", {"kind": kinds.ClassColumn()})
    with pytest.raises(FileNotFoundError, match=r"/.*nowhere/rows\.csv: .*--data-dir"):
        data.facts()


def test_what_cannot_be_fitted_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"rows\.csv: column 'x': empty in every training row"):
        cells(tmp_path, kinds.TableColumn(), "").preprocessing()
    with pytest.raises(ValueError, match=r"rows\.csv: column 'x': column 'a': expected a cell"):
        cells(tmp_path, kinds.TableColumn(), '{"a": null}').preprocessing()
    np.save(tmp_path / "data" / "a.npy", np.ones((2, 0)))
    with pytest.raises(ValueError, match=r"column 'x': expected floats \[token, feature\]"):
        cells(tmp_path, kinds.FeaturesColumn(), "a.npy").prepare()


def test_columns_of_json_objects_are_categories_where_they_hold_texts(tmp_path):
    found = ['{"a": null, "b": true}', '{"c": "x"}', '{"a": "y", "c": null}', '{"a": "z"}', "{}"]
    data = cells(tmp_path, kinds.TableColumn(), *found)
    data.prepare()
    assert everything(data).inputs["x"] == [json.loads(cell) for cell in found]
    assert data.preprocessing().transforms["x"].categories == (2, 1, 1)


def test_pictures_alike_are_kept_once_and_augmented_each(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "data" / "a.png")
    data = cells(tmp_path, kinds.ImageColumn(size=(8, 8)), "a.png", "", "a.png")
    first, none, second = everything(data).inputs["x"]
    assert first is second and none is None
    np.testing.assert_array_equal(first, pixels)
    noisy = dataclasses.replace(data, augment=dataclasses.replace(data.augment, noise=9.0))
    source = noisy.source("train")
    assert source.draws and not data.source("train").draws
    assert (
        Subset(source, np.arange(2)).draws and not Subset(data.source("train"), np.arange(2)).draws
    )
    first, none, second = source.read(np.arange(3), np.random.default_rng(0)).inputs["x"]
    assert none is None and (first != second).any() and (first != pixels).any()
    missing = source.read(np.array([1]), np.random.default_rng(0)).inputs["x"]
    assert missing == [None]


def test_words_are_dropped_and_a_worker_gets_all_it_needs(tmp_path):
    data = texts(tmp_path, columns=TEXT | {"text": kinds.TextColumn(dropout=1.0)})
    fitted = data.preprocessing()
    data, source = pickle.loads(pickle.dumps((data, data.source("train"))))
    inputs = fitted(source.read(np.arange(1), None).inputs)
    changed = data.perturb(inputs, fitted, np.random.default_rng(0))["text"]
    assert (changed.values[changed.mask] == 1).all() and changed.mask.sum() == 2


@pytest.mark.usefixtures("standard_promotion")
def test_a_run_is_trained_evaluated_and_asked(tmp_path, monkeypatch, capsys):
    rng, rows = np.random.default_rng(0), []
    for i in range(40):
        pixels = rng.integers(0, 256, (6, 6), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / f"{i}.png")
        split = SPLITS[(i >= 24) + (i >= 32)]
        rows.append((f"{i}.png", "a bright one" if i % 2 else "", i % 2, split))
    (tmp_path / "data" / "3.png").write_bytes(b"no picture")
    folder = write(tmp_path, ["image", "text"], *rows)
    columns = TEXT | {"image": kinds.ImageColumn(size=(8, 8), grey=True)}
    data = TableData(data_dir=folder, split="split", columns=columns, on_bad_row="mask")
    run = tmp_path / "run"
    metrics = fit(small(data=data, steps=4, devices=1, batch_size=8), run)
    assert "rows that could not be read: 1 masked" in capsys.readouterr().err
    assert np.isfinite(metrics["loss"])
    assert evaluate(run) == metrics
    (tmp_path / "data").rename(tmp_path / "moved")
    assert evaluate(run, data_dir=str(tmp_path / "moved")) == metrics
    predictor = Predictor(run)
    batch = tmp_path / "moved" / "batch.csv"
    batch.write_text("image,text\n0.png,a bright one\n1.png,\n")
    answers = predictor([row.inputs for row in read_table(batch, predictor.preprocessing)])
    assert [list(answer) for answer in answers] == [["match"], ["match"]]
