"""What `hostile.py` does to thousands of files, done to some; every special file by its name."""

import json
import os
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from mmjax.data.datasets import DigitsMatch
from mmjax.data.transforms.image import ImageTransform, open_image
from mmjax.evaluation.predictions import read_table
from mmjax.weights import files
from tests.faults import good, hostile
from tests.faults.kinds import KINDS, Kind, UnnamedError, outcome, write
from tests.faults.mutation import mutated, with_checksums
from tests.faults.special import SPECIAL

COUNT = 10  # of each kind


@pytest.mark.parametrize("kind", KINDS)
def test_good_files_are_legal(kind, tmp_path):
    for content in KINDS[kind].good():
        path = write(KINDS[kind], KINDS[kind].packed(content), tmp_path)
        assert outcome(KINDS[kind], path) == "legal", content[:60]


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_values_or_errors_that_name_them(kind, tmp_path):
    for number in range(COUNT):
        content = KINDS[kind].packed(mutated(KINDS[kind].good(), Random(f"test/{kind}/{number}")))
        path = write(KINDS[kind], content, tmp_path)
        assert outcome(KINDS[kind], path) in ("legal", "error"), number


@pytest.mark.parametrize("name", SPECIAL)
def test_of_special_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kind, content, expected = SPECIAL[name]
    (tmp_path / "in").mkdir()
    path = write(KINDS[kind], content(), tmp_path / "in")
    begun = time.process_time()
    assert outcome(KINDS[kind], path) == expected
    assert time.process_time() - begun < hostile.SECONDS
    assert os.listdir(tmp_path) == ["in"]  # code that was run would have left something


def csv_rows(text, folder):
    """Of a CSV file: rows, and errors as texts."""
    path = write(KINDS["csv"], text.encode(), folder)
    rows = read_table(path, good.ALL)
    return {row.line: str(row.error) if row.error else row.inputs for row in rows}


@pytest.mark.parametrize(
    "text",
    [
        "\u202e\u05e9\u05dc\u05d5\u05dd",
        "\U0001f468\u200d\U0001f469",
        "a\r\nb",
        'a "b", c',
        "e\u0301",
    ],
)
def test_texts_come_out_of_a_csv_as_they_went_in(text, tmp_path):
    quoted = '"' + text.replace('"', '""') + '"'
    assert csv_rows(f"text\n{quoted}\n", tmp_path) == {2: {"text": text}}


def test_bad_rows_of_a_csv_are_errors_of_their_own(tmp_path):
    rows = csv_rows("\ufefftext,image\nx\ny\0,\nz,\nx,/dev/zero\nx,.\n,\n", tmp_path)
    assert rows[2].endswith("pairs.csv:2: expected 2 cells, got 1")
    assert "pairs.csv:3: expected text, got a NUL byte" in rows[3]
    assert rows[4] == {"text": "z", "image": None} and rows[7] == {"text": None, "image": None}
    assert "got a folder or another thing" in rows[5] and "got a folder" in rows[6]


def test_a_picture_is_read_as_it_is_to_be_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    assert open_image(tmp_path / "a.jpg").size == (10, 20)
    pixels = np.full((8, 8), 0x80FF, np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (good.IMAGE.read("a.png", tmp_path) == 0x80FF).all()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("a.png", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert (good.IMAGE.read(name, tmp_path)[..., 0] > 250).all()
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "a.jpg")
    assert (good.IMAGE.read("a.jpg", tmp_path) > 250).all()


def test_a_picture_that_the_model_cannot_see_is_named(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    two = ImageTransform(shape=(4, 6, 2), mean=(0.0, 0.0), std=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"a\.png: a picture has 1 or 3 channels"):
        two.read("a.png", tmp_path)


def test_shards_may_be_links_and_tensors_in_no_pipe(tmp_path):
    save_file({"a": np.ones(3, np.float32)}, tmp_path / "blob")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.safetensors").symlink_to(tmp_path / "blob")
    index = write(
        KINDS["index"], good.dumped({"weight_map": {"a": "a.safetensors"}}), tmp_path / "in"
    )
    assert files.read(index)["a"].tolist() == [1, 1, 1]
    os.mkfifo(tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match=r"b\.safetensors: expected .* got a folder or another"):
        files.read(tmp_path / "b.safetensors")


def test_prepared_data_runs_no_code_that_it_names(digits_dir, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(digits_dir, tmp_path / "data")
    (tmp_path / "executed.py").write_text("raise SystemExit('executed')")
    monkeypatch.syspath_prepend(tmp_path)
    (features,) = (tmp_path / "data").rglob("features.json")
    features.write_text(json.dumps({"pythonClassName": "executed.Feature"}))
    assert len(DigitsMatch(data_dir=str(tmp_path / "data")).source("test"))
    assert "executed" not in sys.modules


def test_an_error_without_a_name_and_a_value_that_is_none_are_faults(tmp_path):
    def read(path):
        raise ValueError("something is wrong")

    with pytest.raises(UnnamedError, match="does not name"):
        outcome(Kind("a", list, read), tmp_path / "a")


def test_a_checksum_of_a_png_is_made_anew():
    whole = good.pictures("png")[0]
    assert with_checksums(whole[:-4] + b"1234") == whole
    assert with_checksums(whole[:40]) == whole[:40]


def fault(path: Path) -> None:
    """Stands for a reader that does each of the things that none should do."""
    name = path.read_text()
    if name == "hang":
        while True:
            pass
    if name == "memory":
        _ = b"x" * 1_500_000_000
    if name == "crash":
        os.abort()
    if name == "write":
        (path.parent / "new").write_text("x")
    if name == "raise":
        raise KeyError(name)


def test_what_no_reader_should_do_is_found(tmp_path, monkeypatch):
    reader = hostile.Reader({"fault": Kind("a.txt", list, fault)})
    found = {}
    for name in ("nothing", "write", "raise", "memory", "crash", "hang"):
        path = tmp_path / "a.txt"
        path.write_text(name)
        if name == "hang":
            monkeypatch.setattr(hostile, "SECONDS", 0.5)
        found[name] = reader("fault", path)
    assert found["nothing"] == "legal"
    assert found["write"].startswith("open ('") and "/new', 'w'" in found["write"]
    assert found["raise"] == "KeyError: 'raise'"
    assert found["memory"].endswith("bytes of memory")
    assert found["crash"] == "the process ended with -6"
    assert found["hang"] == "no answer within 1 s"


def test_cases_are_the_same_for_the_same_seed():
    first, second = (list(hostile.mutations(40, 3)) for _ in range(2))
    assert first == second and len(first) == 40
    assert first != list(hostile.mutations(40, 4))
