import json
import math

import pytest

from mmjax.io import json_file

CONTENT = {"format": 3, "rate": 0.1, "names": ["a", "ß"], "undefined": math.nan}


@pytest.fixture
def path(tmp_path):
    json_file.write(tmp_path / "x.json", CONTENT)
    return tmp_path / "x.json"


def test_what_was_written_is_read_and_nothing_else_is_left(path):
    assert json_file.read(path) == CONTENT | {"undefined": None}
    assert [file.name for file in path.parent.iterdir()] == ["x.json"]


def test_the_values_count_and_not_how_they_are_written(path):
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert json_file.read(path)["rate"] == 0.1


@pytest.mark.parametrize("old, new", [("0.1", "0.2"), ("ss", "st"), ('"rate"', '"race"')])
def test_a_changed_value_or_name_is_damage(path, old, new):
    text = path.read_text().replace("\\u00df", "ss")
    content = json.loads(text)
    content["checksum"] = json_file.checksum({k: v for k, v in content.items() if k != "checksum"})
    path.write_text(json.dumps(content))
    assert json_file.read(path)
    path.write_text(json.dumps(content).replace(old, new))
    with pytest.raises(ValueError, match=r"x\.json: damaged: .* set its \"checksum\" to null"):
        json_file.read(path)


def test_who_edits_the_file_says_so(path):
    content = json.loads(path.read_text()) | {"rate": 0.5}
    path.write_text(json.dumps(content | {"checksum": None}))
    assert json_file.read(path)["rate"] == 0.5
    del content["checksum"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'x\.json: expected a "checksum"'):
        json_file.read(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not a JSON file"),
        (b'{"a": 1', "not a JSON file.*cut short"),
        (b"\xff\xfe", "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b"[1]", "expected a JSON object, got list"),
    ],
)
def test_what_is_no_json_object_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s)x\.json: {message}"):
        json_file.read(tmp_path / "x.json")


def test_a_file_of_any_size_is_not_read_whole(path, monkeypatch):
    monkeypatch.setattr(json_file, "LARGEST", 10)
    with pytest.raises(ValueError, match=r"x\.json: not a JSON file of a run: larger than 10"):
        json_file.read(path)


def test_a_file_that_is_not_there_is_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        json_file.read(tmp_path / "x.json")
