"""What is counted of a table before anything is trained, and what is said about it."""

import csv
import dataclasses
import io
import json
from collections import Counter

import numpy as np
import pytest
from rich.console import Console
from scipy.io import wavfile

from mmjax.data.tables import columns as kinds
from mmjax.data.transforms.image import ImageTransform
from mmjax.errors import UserError
from mmjax.io.tables import RowError
from mmjax.runs import facts as shown_facts
from tests.data.tables.made import column, everything, made, picture, splits

MATCH = {"match": kinds.BinaryColumn()}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Where reports are written."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def rows_of(count, **columns):
    """Rows with a split; a column is a function of the row's number and its split."""
    return [
        {"split": split} | {name: cell(i, split) for name, cell in columns.items()}
        for i, split in enumerate(splits(count))
    ]


def table(tmp_path, columns, rows, **fields):
    """A data set whose splits a column says."""
    return made(tmp_path, rows, columns, split="split", **fields)


def warned(data, *parts):
    """Whether one warning has all these parts."""
    return any(all(part in line for part in parts) for line in data.facts()["warnings"])


def test_a_table_without_flaws_has_no_warning(tmp_path):
    words = [" ".join(("cup", "tea")[int(bit)] for bit in f"{i:06b}") for i in range(60)]
    rows = rows_of(60, text=lambda i, _: words[i], match=lambda i, _: i % 2)
    data = table(tmp_path, {"text": kinds.TextColumn()} | MATCH, rows)
    facts = dict(data.facts())
    assert facts["rows"] == {"train": 36, "validation": 12, "test": 12}
    assert facts["columns"]["match"]["values"] == {"no": 30, "yes": 30}
    assert facts["warnings"] == [] and facts["duplicates"] == facts["shared"] == 0
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_what_is_missing_cut_and_unknown_is_counted_with_the_flag_that_mends_it(tmp_path):
    long = "one two three four five"
    rows = rows_of(
        50,
        text=lambda i, split: "" if i % 2 else f"new{i} {split}" if split != "train" else long,
        sound=lambda i, _: "a.wav" if i % 4 == 0 else "",
        match=lambda i, _: i % 2,
    )
    wavfile.write(tmp_path / "a.wav", 100, np.zeros(50, np.float32))
    columns = {
        "text": kinds.TextColumn(max_words=3),
        "sound": kinds.SoundColumn(sample_rate=100, max_samples=20),
    }
    data = table(tmp_path, columns | MATCH, rows)
    found = data.facts()["columns"]
    assert found["text"]["missing"] == 25 and found["sound"]["missing"] == 37
    assert found["text"]["flaws"] == {"cut": 15, "unknown": 10}
    assert found["sound"]["flaws"] == {"cut": 13}
    assert warned(data, "text: cut in 15 of 50", "--data.columns.text.max-words")
    assert warned(data, "text: unknown in 10 of 50", "--data.columns.text.tokens bpe")
    assert warned(data, "sound: cut in 13 of 50", "--data.columns.sound.max-samples")
    assert warned(data, "sound: missing in 37 of 50", "--data.columns")


def test_an_empty_cell_of_labels_is_unknown_or_none_as_the_user_says(tmp_path):
    cells = ("a;b", "a", "")
    rows = rows_of(30, text=lambda i, _: f"row {i}", tags=lambda i, _: cells[i % 3])
    rows[0]["tags"] = "b"
    unknown = table(tmp_path, {"text": kinds.TextColumn(), "tags": kinds.MultiLabelColumn()}, rows)
    assert unknown.facts()["columns"]["tags"]["missing"] == 10
    assert warned(
        unknown, "labels of 10 of 30 rows are not known", "--data.columns.tags.empty none"
    )
    none = {"text": kinds.TextColumn(), "tags": kinds.MultiLabelColumn(empty="none")}
    known = table(tmp_path, none, rows)
    found = known.facts()["columns"]["tags"]
    assert found["missing"] == 0 and found["flaws"] == {"no label": 10}
    rows[2]["tags"] = ";"  # one row says that it has none, so that empty cells say something else
    clear = table(tmp_path, {"text": kinds.TextColumn(), "tags": kinds.MultiLabelColumn()}, rows)
    assert not warned(clear, "are not known")


def test_constant_and_nearly_unique_cells_are_named(tmp_path):
    rows = rows_of(
        60,
        text=lambda i, _: "always the same",
        site=lambda i, _: "A",
        code=lambda i, _: f"x{i}",
        age=lambda i, _: i % 7,
        match=lambda i, _: i % 2,
    )
    columns = {"text": kinds.TextColumn(), "table": kinds.TableColumn(("site", "code", "age"))}
    data = table(tmp_path, columns | MATCH, rows)
    assert warned(data, "text: the same in every row", "--data.columns")
    assert warned(data, "'site' of table: the same in every row", "--data.columns")
    assert warned(data, "'code' of table: nearly every value", "(36 of 36)", "--data.columns")
    assert warned(data, "table: unknown in 24 of 60 rows")  # T2: codes that no training row has
    assert not warned(data, "'age'")


def test_duplicates_and_files_in_several_splits_are_counted(tmp_path):
    names = [picture(tmp_path / f"{i}.png", i) for i in range(10)]
    rows = rows_of(40, image=lambda i, _: names[i // 4], match=lambda i, _: i % 2)
    rows += rows[:5]
    data = table(tmp_path, {"image": kinds.ImageColumn(size=(4, 4))} | MATCH, rows)
    different = {tuple(row.values()) for row in rows}
    assert data.facts()["duplicates"] == len(rows) - len(different) > 5
    assert warned(data, "rows are equal to an earlier one", "--data.subset")
    assert data.facts()["shared"] == 10
    assert warned(data, "10 files are in several splits", "--data.split", "--data.group")


def test_equal_inputs_in_several_splits_are_said_where_there_are_no_files(tmp_path):
    rows = rows_of(40, text=lambda i, _: f"text {i % 8}", match=lambda i, _: i % 2)
    data = table(tmp_path, {"text": kinds.TextColumn()} | MATCH, rows)
    assert warned(data, "8 inputs that are equal in every column are in several splits")


def test_a_rare_class_is_named_with_balance_unless_that_is_on(tmp_path):
    rows = rows_of(
        400, text=lambda i, _: f"a {i}", label=lambda i, _: f"c{i % 61 if i % 2 else 0}" * (i > 9)
    )
    rows[0] |= {"label": "seldom"}
    rows[1] |= {"label": "c1"}
    columns = {"text": kinds.TextColumn(), "label": kinds.ClassColumn(unknown="missing")}
    data = table(tmp_path, columns, rows)
    assert warned(data, "label: 'seldom' is 0.3% of the rows", "--data.balance label")
    about = data.facts()["columns"]["label"]
    counts = Counter(row["label"] for row in rows)
    assert about["missing"] == counts.pop("") == 8
    assert (about["different"], about["counted"]) == (len(counts), 392) and len(counts) > 60
    assert about["values"] == dict(counts.most_common(50))
    assert not warned(dataclasses.replace(data, balance="label"), "--data.balance")
    console = Console(width=200, file=io.StringIO())
    console.print(shown_facts.table(data.facts()))
    shown = console.file.getvalue()
    assert "c0 51%" in shown and f"{len(counts) - 4} more" in shown


def test_the_digest_changes_with_any_value_but_not_with_the_order_of_the_splits(tmp_path):
    sounds = np.linspace(-1, 1, 5000, dtype=np.float32)
    wavfile.write(tmp_path / "a.wav", 100, sounds)
    np.save(tmp_path / "a.npy", np.zeros((70, 30)))
    rows = rows_of(
        10,
        text=lambda i, _: f"cup {i}",
        sound=lambda i, _: "a.wav" if i else "",
        touch=lambda i, _: "a.npy",
        image=lambda i, _: picture(tmp_path / f"{i}.png", i),
        age=lambda i, _: i,
        match=lambda i, _: i % 2,
    )
    columns = {
        "text": kinds.TextColumn(),
        "sound": kinds.SoundColumn(sample_rate=100),
        "touch": kinds.FeaturesColumn(),
        "image": kinds.ImageColumn(),
        "table": kinds.TableColumn(("age",)),
    }

    def digest(rows):
        return table(tmp_path, columns | MATCH, rows).facts()["digest"]

    first = digest(rows)
    by_split = sorted(rows, key=lambda row: row["split"])
    assert by_split != rows and digest(by_split) == first
    seen = {first, digest([rows[1], rows[0], *rows[2:]])}
    for name, cell in (
        ("text", "cup"),
        ("match", 1),
        ("age", 7.5),
        ("sound", ""),
        ("split", "test"),
    ):
        seen.add(digest([rows[0], rows[1], rows[2] | {name: cell}, *rows[3:]]))
    sounds[2500] = 0.7
    wavfile.write(tmp_path / "a.wav", 100, sounds)
    seen.add(digest(rows))
    touch = np.zeros((70, 30))
    touch[35, 15] = 1e-3
    np.save(tmp_path / "a.npy", touch)
    seen.add(digest(rows))
    picture(tmp_path / "4.png", 99)
    seen.add(digest(rows))
    assert len(seen) == 10


def test_another_version_of_a_decoder_changes_no_digest(tmp_path, monkeypatch):
    rows = rows_of(10, image=lambda i, _: picture(tmp_path / f"{i}.png", i))
    first, second = (table(tmp_path, {"image": kinds.ImageColumn()}, rows) for _ in range(2))
    digest = first.facts()["digest"]
    read = ImageTransform.read
    monkeypatch.setattr(ImageTransform, "read", lambda *args, **more: read(*args, **more) ^ 1)
    assert second.preprocessing() != first.preprocessing()
    assert second.facts()["digest"] == digest


def test_a_key_that_only_other_splits_have_is_an_error_before_the_training(tmp_path):
    """T1."""
    rows = rows_of(20, table=lambda i, _: json.dumps({"age": i}), match=lambda i, _: i % 2)
    rows[14]["table"] = '{"age": 3, "bmi": 4}'
    data = table(tmp_path, {"table": kinds.TableColumn()} | MATCH, rows)
    with pytest.raises(RowError, match=r"rows\.csv:16: column 'table': no column 'bmi'; choose"):
        data.prepare()
    for policy, count in (("mask", 4), ("skip", 3)):
        other = dataclasses.replace(data, on_bad_row=policy)
        other.prepare()
        assert other.facts()[{"mask": "masked", "skip": "skipped"}[policy]] == 1
        assert [fault[:2] for fault in other.faults] == [(16, "table")]
        assert column(other, "table")["test"].count(None) == (policy == "mask")
        assert len(everything(other, "test")["table"]) == count
    with open("rows.skipped.csv") as file:
        assert [row[:3] for row in csv.reader(file)][1:] == [["16", "table", "skipped"]]


def test_numbers_and_dates_are_read_as_people_write_them(tmp_path):
    """T2."""
    rows = rows_of(
        30,
        age=lambda i, _: f" {20 + i}",
        income=lambda i, _: f"{1 + i},200",
        day=lambda i, _: f"2024-03-{1 + i:02}",
        match=lambda i, _: i % 2,
    )
    data = table(tmp_path, {"table": kinds.TableColumn(("age", "income", "day"))} | MATCH, rows)
    assert data.preprocessing().transforms["table"].categories == (0, 0, 0)
    assert data.facts()["columns"]["table"]["about"] == "3 of numbers"
    assert data.facts()["columns"]["table"]["flaws"] == {}


def test_texts_without_blanks_between_words_are_seen_to_be_unknown_before_the_training(tmp_path):
    """T8: a sentence is one word; --data.columns.text.tokens bpe cures it."""
    sentences = [f"我喜欢喝茶{chr(0x4E00 + i)}因为很好喝" for i in range(50)]
    rows = rows_of(50, text=lambda i, _: sentences[i], match=lambda i, _: i % 2)
    data = table(tmp_path, {"text": kinds.TextColumn()} | MATCH, rows)
    assert warned(data, "text: unknown in 20 of 50 rows", "--data.columns.text.tokens bpe")
    cured = {"text": kinds.TextColumn(tokens="bpe")}
    assert not warned(dataclasses.replace(data, columns=cured | MATCH), "text: unknown")


def test_by_default_nothing_that_is_as_long_as_the_training_rows_is_cut(tmp_path):
    """T9."""
    np.save(tmp_path / "a.npy", np.zeros((50, 6)))
    rows = rows_of(
        20, text=lambda i, _: "cup " * 100, touch=lambda *_: "a.npy", match=lambda i, _: i % 2
    )
    columns = {"text": kinds.TextColumn(), "touch": kinds.FeaturesColumn()} | MATCH
    data = table(tmp_path, columns, rows)
    assert all(not about["flaws"] for about in data.facts()["columns"].values())
    assert data.preprocessing().transforms["touch"].max_tokens == 50
    short = columns | {"touch": kinds.FeaturesColumn(max_tokens=1)}
    cut = dataclasses.replace(data, columns=short)
    assert warned(cut, "touch: cut in 20 of 20 rows", "--data.columns.touch.max-tokens")


def test_a_balance_of_something_that_is_no_class_is_refused(tmp_path):
    columns = {"text": kinds.TextColumn(), "weight": kinds.NumberColumn()} | MATCH
    for name in ("text", "weight", "other"):
        with pytest.raises(UserError, match=rf"--data\.balance {name}: expected a class .* match"):
            table(tmp_path, columns, [{"text": "a"}], balance=name)
