import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mmjax.data.datasets import storage
from mmjax.data.datasets.digits import Digits


def _folder(root) -> Path:
    return Path(Digits(data_dir=str(root), file_format="array_record").data_dir)


def test_columns_are_read_and_cannot_be_written_to(tmp_path):
    storage.prepare(Digits, data_dir=str(tmp_path))
    found = storage.columns(Digits, "test", data_dir=str(tmp_path))
    assert found["image"].dtype == np.uint8
    assert len(found["image"]) == len(found["label"])
    with pytest.raises(ValueError, match="read-only"):
        found["image"][0] = 0
    assert storage.columns(Digits, "test", data_dir=str(tmp_path)) is found


def test_rows_of_different_lengths_are_kept_as_they_are():
    rows = [np.arange(n, dtype=np.int16) for n in (3, 0, 2)]
    column = storage._column(rows)
    assert column.dtype == object and len(column) == 3
    for found, row in zip(column[[2, 0, 1]], (rows[2], rows[0], rows[1]), strict=True):
        np.testing.assert_array_equal(found, row)
    for frozen in (column, column[0]):
        with pytest.raises(ValueError, match="read-only"):
            frozen[0] = 0
    # Axes behind the first may differ, too; rows of one length are one array.
    assert storage._column([np.zeros((2, 3)), np.zeros((2, 4))]).shape == (2,)
    assert storage._column(rows[:1] * 2).shape == (2, 3)


def test_what_is_built_is_said_and_not_built_again(tmp_path, monkeypatch, capsys):
    storage.prepare(Digits, data_dir=str(tmp_path))
    assert capsys.readouterr() == ("", "preparing mmjax_digits, once; it is kept for later\n")
    monkeypatch.setattr(Digits, "_split_generators", None)
    storage.prepare(Digits, data_dir=str(tmp_path))
    assert capsys.readouterr() == ("", "")


def test_an_interrupted_build_leaves_nothing_that_is_taken_for_a_data_set(tmp_path, monkeypatch):
    def interrupted(self, images, labels):
        yield 0, {"image": images[0], "label": int(labels[0])}
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Digits, "_generate_examples", interrupted)
        with pytest.raises(KeyboardInterrupt):
            storage.prepare(Digits, data_dir=str(tmp_path))
    assert not _folder(tmp_path).exists()
    # A killed process cannot even tidy up.
    leftover = _folder(tmp_path).with_name("1.0.0.incompleteABCDEF")
    leftover.mkdir(parents=True)
    (leftover / "mmjax_digits-train.array_record-00000-of-00001").write_bytes(b"half")
    storage.prepare(Digits, data_dir=str(tmp_path))
    assert len(storage.columns(Digits, "validation", data_dir=str(tmp_path))["label"]) == 180


def test_two_processes_may_build_at_once(tmp_path):
    root = Path(__file__).parents[3]
    program = (
        "from mmjax.data.datasets import DigitsMatch\n"
        f"data = DigitsMatch(data_dir={str(tmp_path)!r})\n"
        "data.prepare()\n"
        "print(len(data.columns('train')[1]))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        assert out.decode() == "1258\n"  # and nothing of what TFDS prints
    assert [path.name for path in _folder(tmp_path).parent.iterdir()] == ["1.0.0"]


def test_the_second_of_two_builders_takes_what_the_first_has_built(tmp_path, monkeypatch):
    def late(self, **_):
        storage.prepare(Digits, data_dir=str(tmp_path / "other"))
        (tmp_path / "other" / "mmjax_digits").rename(_folder(tmp_path).parent)
        raise OSError("Directory not empty")

    original = Digits.download_and_prepare
    calls = []

    def download_and_prepare(self, **options):
        calls.append(self.data_dir)
        return late(self) if len(calls) == 1 else original(self, **options)  # pyright: ignore[reportCallIssue]

    monkeypatch.setattr(Digits, "download_and_prepare", download_and_prepare)
    storage.prepare(Digits, data_dir=str(tmp_path))
    assert len(calls) == 2


def test_any_other_failure_to_write_is_passed_on(tmp_path, monkeypatch):
    def full(self, **_):
        raise OSError("No space left on device")

    monkeypatch.setattr(Digits, "download_and_prepare", full)
    with pytest.raises(OSError, match="No space left"):
        storage.prepare(Digits, data_dir=str(tmp_path))


def test_what_is_not_prepared_is_named_and_reading_writes_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"mmjax_digits/1\.0\.0: expected .* --data-dir"):
        storage.columns(Digits, "test", data_dir=str(tmp_path))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("away", ["../../outside/", "/outside/"])
def test_no_file_outside_of_its_folder_is_read(tmp_path, away):
    storage.prepare(Digits, data_dir=str(tmp_path))
    path = _folder(tmp_path) / "dataset_info.json"
    info = json.loads(path.read_text())
    for split in info["splits"]:
        split["filepathTemplate"] = away + split["filepathTemplate"]
    path.write_text(json.dumps(info))
    with pytest.raises(OSError, match=r"names .*outside/.*, which is not in its folder"):
        storage.columns(Digits, "test", data_dir=str(tmp_path))


def test_a_damaged_data_set_is_named_with_its_cure(tmp_path):
    storage.prepare(Digits, data_dir=str(tmp_path))
    (file,) = _folder(tmp_path).glob("*test*")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(OSError, match=r"mmjax_digits/1\.0\.0: .* delete this folder"):
        storage.columns(Digits, "test", data_dir=str(tmp_path))


def test_a_prepared_data_set_describes_itself(tmp_path):
    storage.prepare(Digits, data_dir=str(tmp_path))
    info = Digits(data_dir=str(tmp_path)).info
    assert info.splits.total_num_examples == 1797
    assert info.file_format == tfds.core.FileFormat.ARRAY_RECORD
    for text in (info.description, info.citation, info.homepage, info.redistribution_info.license):
        assert text
