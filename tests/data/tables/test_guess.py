"""Kinds of columns are guessed from names and cells, and shown as the command line takes them."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from mmjax.config.columns import parsed
from mmjax.data.tables import columns as kinds
from mmjax.data.tables import guess
from mmjax.errors import UserError
from mmjax.io.tables import Format
from tests.data.tables.made import write

ROWS = [
    {
        "id": 1000 + i,
        "photo": f"{i}.JPG",
        "caption": f"a cup of {'tea' * (i % 3 + 1)}",
        "title": f"Word{i}",
        "speech": f"{i}.wav",
        "cloud": f"{i}.ply",
        "touch": f"{i}.npy",
        "walk": f"{i}.csv",
        "age": f"{i % 9},5",
        "income": f"1,{i * 37 % 60:03}",
        "born": f"2001-{1 + i % 3:02}-{1 + i // 3:02}",
        "sex": "fm"[i % 2],
        "site": "always",
        "extra": '{"a": 1}',
        "ill": ("yes", "no")[i % 2],
        "rating": i % 5,
        "kind": "abcd"[i % 4],
        "tags": "red; big" if i % 2 else "red",
        "weight": i / 7,
        "split": "train",
    }
    for i in range(60)
]
TARGETS = ("ill", "rating", "kind", "tags", "weight")


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "rows.csv", ROWS, ";")


def test_every_kind_is_guessed_and_what_says_nothing_is_left_out(path):
    found, unused = guess.everything(path, Format(), TARGETS, ["split"])
    assert found == {
        "ill": kinds.BinaryColumn(),
        "rating": kinds.ClassColumn(),
        "kind": kinds.ClassColumn(),
        "tags": kinds.MultiLabelColumn(),
        "weight": kinds.NumberColumn(),
        "photo": kinds.ImageColumn(),
        "caption": kinds.TextColumn(),
        "title": kinds.TextColumn(),
        "speech": kinds.SoundColumn(),
        "cloud": kinds.PointsColumn(),
        "touch": kinds.FeaturesColumn(),
        "walk": kinds.SeriesColumn(),
        "extra": kinds.TableColumn(),
        "table": kinds.TableColumn(("age", "income", "born", "sex")),
    }
    rising = "row numbers: whole, and each above the one before"
    assert unused == [f"id ({rising})", "site (always the same)"]


def test_what_is_shown_is_what_the_command_line_takes(path):
    found, _ = guess.everything(path, Format(), TARGETS)
    assert parsed(guess.described(found).split()) == found


def test_a_model_finds_its_modalities_and_the_rest_of_the_table(path):
    found = guess.columns(path, Format(), ["photo", "table"], ["kind"])
    assert set(found) == {"kind", "photo", "table"}
    assert found["table"].column == (
        *("id", "age", "income", "born", "sex", "site", "ill", "rating", "tags", "weight"),
    )


def test_members_of_a_json_object_that_are_columns_too_do_not_give_the_target_away(tmp_path):
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for i in range(30):
            for end, content in (("txt", b"a cup"), ("json", b'{"label": %d}' % (i % 2))):
                info = tarfile.TarInfo(f"{i:03}.{end}")
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))
    found, _ = guess.everything(tmp_path / "shard.tar", Format(), ["label"])
    assert found == {"label": kinds.BinaryColumn(), "txt": kinds.TextColumn()}


@pytest.mark.parametrize("inputs, targets", [(["picture"], []), ([], ["picture"])])
def test_a_name_that_is_no_column_is_an_error_with_the_columns(path, inputs, targets):
    with pytest.raises(
        UserError, match=r"rows\.csv: no column 'picture' .*picture=COLUMN:KIND.*id"
    ):
        guess.columns(path, Format(), inputs, targets)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([b"\x89PNG..."], kinds.ImageColumn()),
        ([{"bytes": b"RIFF...", "path": None}], kinds.SoundColumn()),
        ([b"\x93NUMPY"], kinds.FeaturesColumn()),
        ([np.zeros((4, 4, 3), np.uint8)], kinds.ImageColumn()),
        ([np.zeros(4, np.float32)], kinds.FeaturesColumn()),
        ([[0.5, 1.0]], kinds.FeaturesColumn()),
        ([{"a": 1}], kinds.TableColumn()),
        ([3, 4.5], None),
        ([], None),
    ],
)
def test_cells_that_are_values_are_guessed_too(cells, kind):
    assert guess.modality(cells) == kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([True, False], kinds.BinaryColumn()),
        ([0, 1, 1], kinds.BinaryColumn()),
        (["True", "FALSE", "yes", "1 ", "no", "0"], kinds.BinaryColumn()),
        (["y", "n", "t"], kinds.ClassColumn()),
        ([3, 1, 2], kinds.ClassColumn()),
        (list(range(30)), kinds.NumberColumn()),
        ([["a"], ["a", "b"]], kinds.MultiLabelColumn()),
    ],
)
def test_targets_are_guessed_from_their_values(cells, kind):
    assert guess.target("y", cells) == kind


def test_a_target_without_any_cell_is_an_error():
    with pytest.raises(UserError, match="target 'y': expected a cell that is not missing"):
        guess.target("y", [])


def test_only_a_column_of_the_names_of_splits_is_taken_for_one(tmp_path):
    path = tmp_path / "rows.csv"
    for cells, expected in ((("train", "Val", "test"), "split"), (("1", "2", "3"), None)):
        path.write_text("split,x\n" + "".join(f"{cell},1\n" for cell in cells))
        assert guess.split_column(path, Format()) == expected


def test_small_pictures_are_read_at_their_own_size(tmp_path):
    for name, shape in (("a", (28, 20)), ("b", (28, 20)), ("c", (300, 100))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "d.png").write_bytes(b"damaged")
    rows = [{"x": f"{name}.png", "y": f"{name}.png", "z": "c.png"} for name in "dabc"]
    path = write(tmp_path / "rows.csv", rows)
    found = {name: kinds.ImageColumn() for name in "xz"} | {"y": kinds.ImageColumn(size=(9, 9))}
    sizes = {name: column.size for name, column in guess.sized(path, Format(), found).items()}
    assert sizes == {"x": (28, 20), "y": (9, 9), "z": (64, 64)}
