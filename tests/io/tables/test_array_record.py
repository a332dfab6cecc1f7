"""array_record files, as tensorflow_datasets writes them."""

import json

import numpy as np
import pytest

from mmjax.errors import MissingFileError
from mmjax.io.tables import RowError, array_record, columns_of, read_rows
from tests.faults import tables


@pytest.fixture
def path(tmp_path):
    for name, content in tables.array_record().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path / tables.RECORDS


def test_a_record_is_a_row_and_the_name_of_the_file_says_its_split(path, monkeypatch):
    monkeypatch.setattr(array_record, "BATCH_ROWS", 1)
    names = {"image", "label", "type", "price", "steps", "ragged", "more"}
    assert set(columns_of(path)) == {*names, "split"}
    (_, first), (place, second) = read_rows(path)
    assert place == 2 and set(second) == {*names, "split"}
    assert second.pop("image").startswith(b"\x89PNG")
    np.testing.assert_array_equal(second.pop("steps"), np.arange(6.0).reshape(2, 3) + 1)
    more = {"x": 1, "parts": {"a": [3]}}
    rest = {"label": "cat", "type": "größe 1", "price": 0.5, "ragged": [1, 2], "more": more}
    assert second == rest | {"split": "train"}
    assert first["label"] is None and first["ragged"] == []


def test_files_of_several_splits_are_one_table(path):
    path.rename(path.with_name("a-train.array_record-00000-of-00002"))
    for name in ("a-train.array_record-00001-of-00002", "a-test.array_record-00000-of-00001"):
        (path.parent / name).write_bytes(tables.array_record()[tables.RECORDS])
    found = [row["split"] for _, row in read_rows(path.parent / "*.array_record-*")]
    assert found == ["test"] * 2 + ["train"] * 4


def test_what_cannot_be_read_is_said(path):
    features = path.with_name("features.json")
    content = json.loads(features.read_text())
    named = content["featuresDict"]["features"]
    named["label"]["pythonClassName"] = "antigravity.Label"
    features.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"features\.json: .*: got 'antigravity.Label', which"):
        next(read_rows(path))
    named["label"] = named["price"]
    named["steps"]["tensor"]["shape"]["dimensions"] = ["4"]
    features.write_text(json.dumps(content))
    place, error = next(read_rows(path))
    assert place == 1 and isinstance(error, RowError) and "not of features.json" in str(error)
    path.write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=f"{path}: expected an array_record file, got another"):
        next(read_rows(path))
    features.unlink()
    with pytest.raises(MissingFileError, match=r"features\.json: .* as TFDS writes them"):
        next(read_rows(path))
