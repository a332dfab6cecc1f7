import os

import pytest

from mmjax.io.tables import RowError, base_folder, columns_of, read_rows


@pytest.fixture
def top(tmp_path):
    return tmp_path / "images"


def fill(top, *names):
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()


def test_folders_are_classes_and_files_are_in_order(top):
    fill(
        top,
        "dog/2.jpg",
        "dog/10.jpg",
        "cat/a b.png",
        "cat/deep/c.jpg",
        "top.jpg",
        "bird/.x",
        ".git/x",
    )
    assert list(read_rows(top)) == [
        (name, {"file": name, "class": label})
        for name, label in {
            "cat/a b.png": "cat",
            "cat/deep/c.jpg": "cat",
            "dog/10.jpg": "dog",
            "dog/2.jpg": "dog",
            "top.jpg": None,
        }.items()
    ]
    assert columns_of(top) == ["file", "class"] and base_folder(top) == top


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_folders_that_are_all_called_like_splits_are_splits(top, name):
    fill(top, "train/cat/1.jpg", f"{name}/cat/2.jpg", "test/3.jpg", "4.jpg")
    assert columns_of(top) == ["file", "class", "split"]
    rows = {row["file"]: (row["split"], row["class"]) for _, row in read_rows(top)}
    assert rows == {
        "train/cat/1.jpg": ("train", "cat"),
        f"{name}/cat/2.jpg": ("validation", "cat"),
        "test/3.jpg": ("test", None),
        "4.jpg": (None, None),
    }


def test_a_class_may_be_called_train(top):
    fill(top, "train/1.jpg", "bus/2.jpg")
    assert [row["class"] for _, row in read_rows(top)] == ["bus", "train"]
    assert columns_of(top) == ["file", "class"]


def test_links_that_lead_out_are_errors_of_their_row(top, tmp_path):
    fill(top, "cat/1.jpg")
    (tmp_path / "secret").touch()
    (tmp_path / "away").mkdir()
    (top / "cat" / "2.jpg").symlink_to(tmp_path / "secret")
    (top / "cat" / "3.jpg").symlink_to("1.jpg")
    (top / "cat" / "4.jpg").symlink_to("none")
    (top / "cat" / "5.jpg").symlink_to("5.jpg")
    (top / "dog").symlink_to(tmp_path / "away")
    (top / "up").symlink_to(top)
    os.mkfifo(top / "pipe")
    found = {
        place: row.reason if isinstance(row, RowError) else row["class"]
        for place, row in read_rows(top)
    }
    assert found.pop("cat/1.jpg") == found.pop("cat/3.jpg") == "cat"
    for name, reason in {
        "cat/2.jpg": "a link that leads out of it",
        "cat/4.jpg": "a link to nothing",
        "cat/5.jpg": "a link to nothing",
        "dog": "a link that leads out of it",
        "up": "a link to a folder",
        "pipe": "another thing",
    }.items():
        assert reason in found.pop(name)
    assert not found


def test_names_that_are_no_text_are_errors_of_their_row(top):
    top.mkdir()
    (top / os.fsdecode(b"\xff.jpg")).touch()
    ((place, error),) = read_rows(top)
    assert place == "\\udcff.jpg" and error.reason == "expected a name in UTF-8"


def test_a_folder_of_shards_and_endless_folders_are_refused(top):
    fill(top, "a-0.tar")
    with pytest.raises(ValueError, match=r"images: .*got shards such as a-0\.tar; name .*\*\.tar"):
        list(read_rows(top))
    fill(top, "/".join(["a"] * 50))
    with pytest.raises(ValueError, match="expected at most 20 folders in each other"):
        list(read_rows(top))
