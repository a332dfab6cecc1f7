import json

import numpy as np
import pytest

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.text import TextTransform


@pytest.fixture
def preprocessing():
    text = TextTransform.fit(["a caf\u00e9", "a boot"], vocabulary_size=9, max_words=4)
    image = ImageTransform(shape=(2, 3, 1), mean=(0.1,), std=(1 / 3,))
    return Preprocessing({"image": image, "text": text})


def test_every_modality_is_transformed(preprocessing):
    inputs = preprocessing({"text": ["a boot", None], "image": np.zeros((2, 2, 3, 1), np.uint8)})
    assert set(inputs) == {"image", "text"}
    assert inputs["text"].mask.sum(axis=1).tolist() == [2, 0]
    assert inputs["image"].mask.tolist() == [True, True]


def test_a_modality_that_is_not_given_is_missing_everywhere(preprocessing):
    inputs = preprocessing({"text": ["a boot", "a"]})
    assert inputs["image"].values.shape == (2, 2, 3, 1)
    assert not inputs["image"].mask.any()
    assert not preprocessing({"image": [None]})["text"].mask.any()


def test_an_unknown_modality_is_refused_with_the_known(preprocessing):
    with pytest.raises(ValueError, match="unknown modality 'sound': choose from image, text"):
        preprocessing({"text": ["a"], "sound": [0]})


@pytest.mark.parametrize("examples", [{}, {"text": ["a"], "image": [None, None]}])
def test_rows_must_agree(preprocessing, examples):
    with pytest.raises(ValueError, match="expected every modality to have as many rows"):
        preprocessing(examples)


def test_a_saved_one_is_equal_and_readable(preprocessing, tmp_path):
    preprocessing.save(tmp_path / "new" / "run")
    assert Preprocessing.load(tmp_path / "new" / "run") == preprocessing
    words = (tmp_path / "new" / "run" / "vocabulary.text.txt").read_text(encoding="utf-8")
    assert words.splitlines() == ["<pad>", "<unk>", "a", "boot", "caf\u00e9"]
    assert sorted(path.name for path in (tmp_path / "new" / "run").iterdir()) == [
        "preprocessing.json",
        "vocabulary.text.txt",
    ]


def test_parts_of_words_are_saved_and_restored(tmp_path):
    text = TextTransform.fit(["a caf\u00e9"], vocabulary_size=300, max_words=9, tokens="bpe")
    Preprocessing({"text": text}).save(tmp_path)
    restored = Preprocessing.load(tmp_path).transforms["text"]
    assert restored == text
    np.testing.assert_array_equal(restored(["a cafes"]).values, text(["a cafes"]).values)


def test_nothing_to_load_is_said_with_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"preprocessing\.json: expected the file of a"):
        Preprocessing.load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_refused(preprocessing, tmp_path, share):
    preprocessing.save(tmp_path)
    path = tmp_path / "preprocessing.json"
    text = path.read_text().rstrip()
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(ValueError, match=r"preprocessing\.json: not a JSON file: .*cut short"):
        Preprocessing.load(tmp_path)


def test_a_field_with_a_default_may_be_absent_as_in_runs_of_earlier_versions(
    preprocessing, tmp_path
):
    preprocessing.save(tmp_path)
    path = tmp_path / "preprocessing.json"
    content = json.loads(path.read_text()) | {"checksum": None}
    del content["transforms"]["image"]["levels"]
    path.write_text(json.dumps(content))
    assert Preprocessing.load(tmp_path) == preprocessing
    del content["transforms"]["image"]["mean"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"transforms\.image: expected the fields \['shape'"):
        Preprocessing.load(tmp_path)


def _set(content, *keys, value):
    for key in keys[:-1]:
        content = content[key]
    content[keys[-1]] = value


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["format"], 99, "expected format 2 or 3, got 99"),
        (["transforms"], [], r"transforms: expected an object, got \[\]"),
        (["transforms", "text"], 3, r"transforms\.text\.type: got 3, choose from image, text"),
        (["transforms", "text", "type"], "sound", "type: got 'sound', choose from image, text"),
        (["transforms", "text", "dim"], 3, r"transforms\.text: expected the fields \['max_words'"),
        (
            ["transforms", "text", "max_words"],
            "ten",
            r"transforms\.text\.max_words: expected .*'ten'",
        ),
        (
            ["transforms", "text", "max_words"],
            0,
            r"transforms\.text: max_words: expected 1 to 1,000,000",
        ),
        (["transforms", "image", "shape"], 3, r"transforms\.image\.shape: expected .*, got 3"),
        (["transforms", "image", "shape"], [3], r"transforms\.image\.shape: expected"),
        (["transforms", "image", "mean"], ["x"], r"transforms\.image\.mean: expected .*'x'"),
        (["transforms", "image", "std"], [0.0], r"transforms\.image: std: expected numbers above"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(preprocessing, tmp_path, keys, value, message):
    preprocessing.save(tmp_path)
    path = tmp_path / "preprocessing.json"
    content = json.loads(path.read_text())
    _set(content, *keys, value=value)
    content["checksum"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        Preprocessing.load(tmp_path)


def test_a_file_that_holds_no_object_is_refused(tmp_path):
    (tmp_path / "preprocessing.json").write_text("[1]")
    with pytest.raises(ValueError, match="expected a JSON object, got list"):
        Preprocessing.load(tmp_path)


def test_a_changed_digit_is_damage(preprocessing, tmp_path):
    preprocessing.save(tmp_path)
    path = tmp_path / "preprocessing.json"
    content = json.loads(path.read_text())
    content["transforms"]["text"]["max_words"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"preprocessing\.json: damaged"):
        Preprocessing.load(tmp_path)


def test_a_type_that_is_no_name_is_refused(preprocessing, tmp_path):
    preprocessing.save(tmp_path)
    path = tmp_path / "preprocessing.json"
    content = json.loads(path.read_text()) | {"checksum": None}
    content["transforms"]["text"]["type"] = ["text"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"transforms\.text\.type: got \['text'\], choose from"):
        Preprocessing.load(tmp_path)


@pytest.mark.parametrize("name", ["", "../text", "a/b", "a\\b", "a\0b"])
def test_no_modality_has_the_name_of_another_folder(preprocessing, tmp_path, name):
    with pytest.raises(ValueError, match=r"^modality .*: expected a name without slashes"):
        Preprocessing({name: preprocessing.transforms["text"]})
    preprocessing.save(tmp_path)
    path = tmp_path / "preprocessing.json"
    content = json.loads(path.read_text()) | {"checksum": None}
    content["transforms"] = {name: content["transforms"]["text"]}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"preprocessing\.json: modality .*: expected a name"):
        Preprocessing.load(tmp_path)


@pytest.mark.parametrize("one", ["a text", b"a text"])
def test_one_row_instead_of_a_list_of_rows_is_refused(one):
    text = TextTransform.fit(["a text"], vocabulary_size=9, max_words=3)
    with pytest.raises(ValueError, match="text: expected a list of rows, got one"):
        Preprocessing({"text": text})({"text": one})
