import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.evaluation import predictions
from mmjax.evaluation.predictions import Predictor, Row, flat, read_table, read_value, split_inputs
from mmjax.runs import folder
from mmjax.runs.restore import restore


@pytest.fixture(scope="module")
def predictor(finished):
    return Predictor(finished[0])


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_an_answer_is_the_probability_that_the_model_gives(predictor, finished):
    """Against the example's own path: data set, preprocessing, model."""
    experiment = folder.require(finished[0])
    examples = experiment.data.source("test").read(np.arange(3), None)
    rows = [
        {"image": picture, "text": text}
        for picture, text in zip(examples.inputs["image"], examples.inputs["text"], strict=True)
    ]
    logits = experiment.model.apply(
        restore(finished[0]).variables, predictor.preprocessing(examples.inputs), train=False
    ).values["match"]
    found = [answer["match"]["probability"] for answer in predictor(rows)]
    assert [answer["match"]["value"] for answer in predictor(rows)] == (logits > 0).tolist()
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-np.asarray(logits, float))), atol=1e-6)


def test_many_rows_are_answered_like_each_alone(predictor, monkeypatch):
    rows = [{"text": text} for text in ("the digit seven", "a 3", "", "xylophone")]
    monkeypatch.setattr(predictions, "CHUNK", 3)
    together = predictor(rows)
    alone = [predictor([row])[0] for row in rows]
    np.testing.assert_allclose(
        [a["match"]["probability"] for a in together],
        [a["match"]["probability"] for a in alone],
        atol=1e-6,
    )
    assert predictor([]) == []


def test_missing_empty_long_and_unknown_are_legal_and_said(predictor, image):
    preprocessing = predictor.preprocessing
    picture = read_value(preprocessing, "image", str(image))
    long = " ".join(["seven"] * 10_000)
    for row, said in (
        ({"image": picture, "text": "the digit seven"}, []),
        ({"text": "the digit seven"}, ["image was missing"]),
        ({"image": picture}, ["text was missing"]),
        ({}, ["image was missing", "text was missing"]),
        ({"image": picture, "text": ""}, ["text: empty"]),
        ({"image": picture, "text": "the digit xylophone"}, ["text: 1 of 3 words unknown"]),
        ({"image": picture, "text": long}, ["text: 10000 words, only the first 10 were read"]),
    ):
        assert predictions.warnings(preprocessing, row) == said
        (answer,) = predictor([row])
        assert 0 < answer["match"]["probability"] < 1


def test_a_missing_modality_gives_one_answer_whatever_the_rest_of_the_batch(predictor):
    first, second = predictor([{}, {"text": "a 3"}])
    assert first["match"] == pytest.approx(predictor([{}])[0]["match"], abs=1e-6)
    assert first != second


@pytest.mark.parametrize(
    "content, message",
    [(b"no image at all", "another kind"), (None, "no file"), ("cut", "damaged")],
)
def test_a_file_that_is_no_image_is_named(predictor, image, content, message):
    if content == "cut":
        image.write_bytes(image.read_bytes()[:100])
    elif content is None:
        image.unlink()
    else:
        image.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=f"{image.name}.*{message}"):
        read_value(predictor.preprocessing, "image", str(image))


def test_an_unknown_modality_is_refused_with_the_choices(predictor):
    with pytest.raises(ValueError, match=r"no 'audio'; choose from \['image', 'text'\]"):
        read_value(predictor.preprocessing, "audio", "x.wav")


def test_bad_rows_of_a_csv_are_named_by_line_and_the_others_are_read(predictor, image):
    path = image.parent / "pairs.csv"
    path.write_text(
        '\ufeffimage,text\na.png,the digit seven\nb.png,"a\nthree"\na.png\n,only text\na.png,\n'
        'a.png,"the "digit" seven"\n,last\n',
        encoding="utf-8",
    )
    rows = {r.line: r.error or r.inputs for r in read_table(path, predictor.preprocessing)}
    assert list(rows) == [2, 3, 5, 6, 7, 8, 9]
    assert "pairs.csv:8: " in str(rows[8]) and rows[9] == {"image": None, "text": "last"}
    assert "pairs.csv:3: " in str(rows[3]) and "b.png" in str(rows[3])
    assert str(rows[5]).endswith("pairs.csv:5: expected 2 cells, got 1")
    assert rows[2]["text"] == "the digit seven" and rows[2]["image"].shape == (8, 8, 1)
    assert rows[6] == {"image": None, "text": "only text"}
    assert rows[7]["text"] is None and rows[7]["image"] is not None


@pytest.mark.parametrize("header", ["", "sound", "image,image", "a.png,the digit seven"])
def test_a_csv_with_a_wrong_header_is_refused(predictor, tmp_path, header):
    (tmp_path / "pairs.csv").write_text(header + "\n")
    with pytest.raises(ValueError, match=r"pairs\.csv.*: expected (columns|a header)"):
        list(read_table(tmp_path / "pairs.csv", predictor.preprocessing))


def test_a_file_that_is_no_csv_is_named(predictor, tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"pairs\.csv:1: expected a header"):
        list(read_table(tmp_path / "pairs.csv", predictor.preprocessing))


def test_rows_before_an_error_are_a_chunk(monkeypatch):
    rows = [Row(line, {}, {}) for line in range(4)]

    def broken():
        yield from rows[:3]
        raise ValueError("no more")

    monkeypatch.setattr(predictions, "CHUNK", 2)
    found = predictions.chunks(broken())
    assert next(found) == rows[:2] and next(found) == rows[2:3]
    with pytest.raises(ValueError, match="no more"):
        next(found)
    assert list(predictions.chunks(rows)) == [rows[:2], rows[2:]]


def test_predictions_become_columns():
    assert flat(
        {
            "digit": {"value": "seven", "probability": 0.9, "probabilities": {"six": 0.1}},
            "tags": {"value": ["a", "b"]},
            "age": {"value": 63.0, "unit": "years"},
        }
    ) == {
        "digit": "seven",
        "digit.probability": 0.9,
        "digit.probabilities.six": 0.1,
        "tags": "a;b",
        "age": 63.0,
        "age.unit": "years",
    }


@pytest.fixture
def touch(tmp_path):
    """Preprocessing of a text and of features, and a folder with features.npy of 4 tokens."""
    rows = np.random.default_rng(0).normal(size=(5, 4, 3))
    np.save(tmp_path / "features.npy", rows[0])
    text = TextTransform.fit(["a cup"], vocabulary_size=9, max_words=4)
    features = FeatureTransform.fit(rows, max_tokens=3)
    return Preprocessing({"touch": features, "text": text}), tmp_path, rows[0]


def test_features_are_the_path_of_an_npy_file(touch):
    preprocessing, path, features = touch
    read = read_value(preprocessing, "touch", str(path / "features.npy"))
    np.testing.assert_array_equal(read, features)
    assert predictions.warnings(preprocessing, {"text": "a cup", "touch": read}) == [
        "touch: 4 tokens, only the first 3 were read"
    ]
    assert predictions.warnings(preprocessing, {"text": "a cup", "touch": read[:3]}) == []
    assert predictions.warnings(preprocessing, {"text": "a cup", "touch": read[:0]}) == [
        "touch: empty"
    ]
    assert predictions.warnings(preprocessing, {"text": "a cup"}) == ["touch was missing"]


@pytest.mark.parametrize(
    "content, message",
    [
        (np.zeros((2, 5)), r"got the shape \(2, 5\)"),
        (np.array([0, 0, np.nan]), "got NaN"),
        (np.zeros((2, 3), int), "got int64"),
        (None, r"expected a \.npy file"),
    ],
)
def test_a_file_that_holds_no_such_features_is_named(touch, content, message):
    preprocessing, path, _ = touch
    (path / "bad.npy").write_text("no array")
    if content is not None:
        np.save(path / "bad.npy", content)
    with pytest.raises(ValueError, match=rf"bad\.npy: .*{message}"):
        read_value(preprocessing, "touch", str(path / "bad.npy"))


def test_features_of_a_csv_lie_beside_it(touch):
    preprocessing, path, features = touch
    (path / "rows.csv").write_text("touch,text\nfeatures.npy,a cup\n,a cup\nno.npy,a cup\n")
    rows = {r.line: r.error or r.inputs for r in read_table(path / "rows.csv", preprocessing)}
    np.testing.assert_array_equal(rows[2]["touch"], features)
    assert rows[3] == {"touch": None, "text": "a cup"}
    assert "rows.csv:4: " in str(rows[4]) and "no.npy" in str(rows[4])


@pytest.fixture
def patient(tmp_path):
    """Preprocessing of speech, a table and a text in parts, and a folder with 4 s of sound."""
    samples = np.sin(np.arange(4 * 44_100) / 9) * 2**14
    wavfile.write(tmp_path / "a.wav", 44_100, samples.astype(np.int16))
    rows = [{"age": 40, "sex": "f"}, {"age": 60, "sex": "m"}]
    transforms = {
        "speech": AudioTransform(sample_rate=8000, max_samples=24_000),
        "table": TableTransform.fit(rows),
        "text": TextTransform.fit(["a cup"], vocabulary_size=300, max_words=4, tokens="bpe"),
    }
    return Preprocessing(transforms), tmp_path


def test_a_recording_is_a_path_and_a_row_of_a_table_json(patient):
    preprocessing, path = patient
    row = {
        "speech": read_value(preprocessing, "speech", str(path / "a.wav")),
        "table": read_value(preprocessing, "table", '{"age": 63, "sex": "x"}'),
        "text": read_value(preprocessing, "text", "a cup"),
    }
    assert predictions.warnings(preprocessing, row) == [
        "speech: resampled from 44,100 to 8,000 Hz",
        "speech: longer than 3 s, only the first 3 s were read",
        "table: 1 cell unknown: sex='x'",
    ]
    inputs = preprocessing({name: [value] for name, value in row.items()})
    assert inputs["speech"].mask.all() and inputs["table"].mask.tolist() == [[True, False]]
    empty = {"speech": np.zeros(0), "table": {"age": None, "sex": "m"}, "text": ""}
    assert predictions.warnings(preprocessing, empty) == [
        "speech: empty",
        "table: 1 cell missing: age",
        "text: empty",
    ]


@pytest.mark.parametrize(
    ("modality", "text", "message"),
    [
        (
            "speech",
            "rows.csv",
            r"speech: .*rows\.csv: expected a WAV.*, got a file of another",
        ),
        ("table", "a.wav", "table: expected a JSON object, got 'a.wav'"),
        ("table", '{"age": "old"}', "table: column 'age': expected a number, got 'old'"),
        ("table", '{"year": 3}', "table: no column 'year'; choose from 'age', 'sex'"),
    ],
)
def test_what_is_no_recording_or_no_row_is_named(patient, modality, text, message):
    preprocessing, path = patient
    (path / "rows.csv").write_text("no sound")
    text = str(path / text) if modality == "speech" else text
    with pytest.raises(ValueError, match=message):
        read_value(preprocessing, modality, text)


def test_recordings_and_tables_of_a_csv(patient):
    preprocessing, path = patient
    (path / "rows.csv").write_text(
        'speech,table\na.wav,"{""age"": 63}"\n,"{""sex"": ""f""}"\na.wav,\na.wav,{63}\nb.wav,{}\n'
    )
    rows = {r.line: r.error or r.inputs for r in read_table(path / "rows.csv", preprocessing)}
    assert rows[2]["speech"].sample_rate == 44_100 and rows[2]["table"] == {"age": 63}
    assert rows[3] == {"speech": None, "table": {"sex": "f"}}
    assert rows[4]["table"] is None
    assert "rows.csv:5: table: expected a JSON object, got '{63}'" in str(rows[5])
    assert "rows.csv:6: " in str(rows[6]) and "b.wav: expected a WAV" in str(rows[6])


def test_inputs_of_a_command_line_are_split_at_the_first_equals_sign():
    assert split_inputs(["touch=a.npy", "text=1 + 1 = 2", "note="]) == {
        "touch": "a.npy",
        "text": "1 + 1 = 2",
        "note": "",
    }
    assert split_inputs([]) == {}


@pytest.mark.parametrize(
    "pairs, message",
    [
        (["touch"], "--input: expected name=value, got 'touch'"),
        (["=a.npy"], "--input: expected name=value, got '=a.npy'"),
        (["touch=a", "touch=b"], "--input: 'touch' is given twice"),
    ],
)
def test_an_input_that_is_no_pair_is_refused(pairs, message):
    with pytest.raises(ValueError, match=message):
        split_inputs(pairs)
