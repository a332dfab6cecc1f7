"""Which row is of which split."""

import itertools
from collections import Counter

import numpy as np
import pytest

from mmjax.data.dataset import SPLITS
from mmjax.data.tables import columns as kinds
from mmjax.data.tables.splits import Rule, Splitting
from mmjax.errors import UserError
from tests.data.tables.made import column, made, picture

TEXT = {"text": kinds.TextColumn(), "match": kinds.BinaryColumn()}


def split(rows, **rule):
    """The result for rows of cells."""
    splitting = Splitting(Rule(**rule))
    for row in rows:
        splitting.add(row)
    return splitting.result()


def test_captions_of_one_picture_stay_together_by_default(tmp_path):
    names = [picture(tmp_path / f"{i}.png", i) for i in range(30)]
    rows = [{"image": name, "text": f"{name} {i}"} for name in names for i in range(5)]
    columns = {"image": kinds.ImageColumn(size=(4, 4)), "text": kinds.TextColumn()}
    data = made(tmp_path, rows, columns, shares=(0.3, 0.3))
    found = {
        key: {text.split()[0] for text in texts} for key, texts in column(data, "text").items()
    }
    assert sum(map(len, found.values())) == len(names)
    assert data.facts()["shared"] == 0


def test_files_of_two_columns_bind_rows_also_through_other_rows():
    """a1-b1, a1-b2, a2-b2, a2-b3, ... are one chain; it needs several rounds to be found."""
    chain = [{"a": f"a{i // 2}", "b": f"b{(i + 1) // 2}"} for i in range(40)]
    single = [{"a": f"x{i}", "b": ""} for i in range(400)]  # an empty cell binds nothing
    order = np.random.default_rng(0).permutation(40)
    found = split([*(chain[i] for i in order), *single], files=("a", "b"), shares=(0.3, 0.3))
    assert len(set(found.of_row[:40])) == 1
    assert len(set(found.of_row[40:])) == 3 and found.shared == 0


@pytest.mark.parametrize("rule", [{}, {"files": ("a", "b")}, {"group": "a"}, {"split": "a"}])
def test_a_table_without_rows_has_no_rows_in_any_split(rule):
    assert split([], **rule).counts == {"train": 0, "validation": 0, "test": 0}


def test_a_group_wins_over_files_and_files_that_are_shared_then_are_counted():
    rows = [{"file": f"f{i % 50}", "who": f"w{i // 10}"} for i in range(400)]
    found = split(rows, files=("file",), group="who", shares=(0.3, 0.3))
    for first in range(0, 400, 10):
        assert len(set(found.of_row[first : first + 10])) == 1
    by_file = [len(set(found.of_row[i::50])) for i in range(50)]
    assert found.shared == sum(count > 1 for count in by_file) > 0


def test_a_column_that_says_the_split_is_taken_and_what_several_splits_share_is_counted():
    rows = [{"x": f"{i % 3}", "split": "train" if i < 5 else "test"} for i in range(6)]
    found = split(rows, split="split", inputs=("x",))
    assert found.counts == {"train": 5, "validation": 0, "test": 1}
    assert found.shared == 1 and found.duplicates == 2


@pytest.mark.parametrize(
    ("name", "number"),
    [("train", 0), ("Training", 0), (" VAL ", 1), ("valid", 1), ("Dev", 1), ("validation", 1)]
    + [("TEST", 2), ("testing", 2)],
)
def test_splits_are_named_as_people_name_them(name, number):
    assert split([{"split": name}], split="split").of_row.tolist() == [number]


def test_an_unknown_name_of_a_split_is_refused():
    with pytest.raises(UserError, match="got 'later', choose from train, validation, test"):
        split([{"split": "later"}], split="split")


def test_every_row_is_in_the_test_set_of_one_fold_and_never_in_its_validation():
    rows = [{"x": str(i)} for i in range(3000)]
    folds = [
        split(rows, inputs=("x",), fold=(i, 5), shares=(0.25, 0.5)).of_row for i in range(1, 6)
    ]
    tested = np.array([of_row == 2 for of_row in folds])
    assert (tested.sum(axis=0) == 1).all()
    np.testing.assert_allclose(tested.mean(axis=1), 0.2, atol=0.03)
    # Of the rest, as many are for validation as the shares say, whichever fold is left out.
    for of_row in folds:
        assert np.mean(of_row[of_row != 2] == 1) == pytest.approx(0.25, abs=0.03)
    assert any((folds[0] == 1) & (folds[1] == 2)), "validation rows are tested in another fold"


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/1", "2", "a/b", "1/5/6"])
def test_what_is_no_fold_is_refused(tmp_path, fold):
    with pytest.raises(UserError, match=r"--data\.fold: expected a fold such as 2/5, got"):
        made(tmp_path, [{"text": "a"}], TEXT, fold=fold)


def test_folds_are_drawn_and_cannot_go_with_a_column_of_splits(tmp_path):
    with pytest.raises(UserError, match=r"--data\.fold: folds are drawn"):
        made(tmp_path, [{"text": "a"}], TEXT, fold="1/5", split="split")


def test_drawn_splits_have_their_shares_and_stay_when_other_rows_are_added():
    rows = [{"x": str(i)} for i in range(4000)]
    before = split(rows, inputs=("x",), shares=(0.2, 0.3)).of_row
    np.testing.assert_allclose(np.bincount(before) / 4000, [0.5, 0.2, 0.3], atol=0.03)
    more = [{"x": f"new {i}"} for i in range(500)]
    after = split([*more, *rows], inputs=("x",), shares=(0.2, 0.3)).of_row
    assert (after[500:] == before).all()


def test_a_subset_is_named_by_lines_and_leaves_all_other_rows_unread(tmp_path):
    rows = [{"text": f"t{i}", "match": i % 2} for i in range(200)]
    rows[7]["match"] = "unreadable"
    data = made(tmp_path, rows, TEXT, subset="subset.txt")
    chosen = [i for i in range(200) if i % 3 == 0]
    (tmp_path / "subset.txt").write_text("\n".join(f" {i + 2}" for i in chosen) + "\n\n")
    found = column(data, "text")
    assert Counter(itertools.chain(*found.values())) == Counter(f"t{i}" for i in chosen)
    whole = column(made(tmp_path, [r for r in rows if r["match"] != "unreadable"], TEXT), "text")
    assert all(set(found[split]) <= set(whole[split]) for split in SPLITS)


def test_rows_outside_a_subset_may_be_broken(tmp_path):
    data = made(tmp_path, [{"text": f"t{i}", "match": i % 2} for i in range(60)], TEXT, subset="s")
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("too,many,cells\n")
    (tmp_path / "s").write_text("\n".join(map(str, range(2, 62))))
    assert sum(data.facts()["rows"].values()) == 60


def test_a_subset_that_names_no_row_is_refused(tmp_path):
    rows = [{"text": f"t{i}", "match": i % 2} for i in range(60)]
    data = made(tmp_path, rows, TEXT, subset="subset.txt")
    (tmp_path / "subset.txt").write_text("2\n61\n62\n")
    with pytest.raises(UserError, match=r"subset\.txt: 1 of its lines are no rows .* '62'; .* 61"):
        data.prepare()
