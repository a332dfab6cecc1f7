import contextlib
import dataclasses
import io
import itertools
from typing import get_args

import numpy as np
import pytest
import tyro

from mmjax.data.datasets import Planted
from mmjax.data.pipeline.batches import eval_batches
from mmjax.data.synthetic import planting
from mmjax.data.synthetic.planted import Shape, Task

_TASKS, _SHAPES = get_args(Task), get_args(Shape)
_TIMED = ("vision_touch", "camera_radar_lidar", "camera_radar_lidar_imu")
_CASES = [
    (task, shape) for task in _TASKS for shape in _SHAPES if task != "misaligned" or shape in _TIMED
]


def _read(name, row):
    """The symbol that a row shows, by somebody who knows the renderer."""
    if row is None:
        return planting.MISSING
    if name == "image":
        grey = row[:, :, 0] - 128.0
        a, b = (
            np.argmax([np.sum(half * pattern) for pattern in planting.PATTERNS])
            for half in (grey[:, :4], grey[:, 4:])
        )
    elif name == "text":
        a, b = (
            int(any(word in row.split() for word in wordings[1])) for wordings in planting.WORDS
        )
    else:
        a, b = (row[:, :2].mean(axis=0) > 0).astype(int)
    return a + 2 * b


def _time(tokens):
    return np.arctan2(tokens[:, 3], tokens[:, 2]) / (2 * np.pi)


def _answer_misaligned(first, second):
    asked = _time(first)[np.argmax(first[:, 0])] + 5 / 12
    late = (asked - _time(second) + 1e-6) % 1
    return int(second[np.argmin(late), 0] > 0)


def _answers(task, names, inputs):
    """The best rule of each task in a person's words, not by the table."""
    if task == "misaligned":
        return np.array(
            [_answer_misaligned(*pair) for pair in zip(*list(inputs.values())[:2], strict=True)]
        )
    symbols = np.array([[_read(name, row) for row in inputs[name]] for name in names]).T
    a, b, there = symbols % 2, symbols // 2 % 2, symbols != planting.MISSING
    match task:
        case "redundant":
            assert np.mean(a == a[:, :1]) > 0.999
            return a[:, 0]
        case "unique":
            return a[:, -1]
        case "synergy":
            return a.sum(axis=1) % 2
        case "dominated":
            return a[:, 1] ^ b[:, 1]
    error = 0.1 + 0.05 * np.arange(len(names))
    votes = (2 * a - 1) * np.log((1 - error) / error) * there
    return (votes * (b == 0 if task == "noisy" else 1)).sum(axis=1) > 0


def _whole(data, split="test"):
    source = data.source(split)
    return source.read(np.arange(len(source)), None)


def _same(one, other):
    """Whether two lots of examples are equal to the last bit."""
    pairs = [
        pair
        for name in one.inputs
        for pair in zip(one.inputs[name], other.inputs[name], strict=True)
    ] + [(one.targets["label"], other.targets["label"])]
    return all(np.array_equal(a, b) if a is not None else b is None for a, b in pairs)


@pytest.mark.parametrize("task, shape", _CASES)
def test_who_knows_the_renderer_reaches_the_best_accuracy_and_no_more(task, shape):
    data = Planted(task=task, shape=shape, test_size=5000)
    examples = _whole(data)
    assert tuple(examples.inputs) == data.modalities == tuple(shape.split("_"))
    right = _answers(task, data.modalities, examples.inputs) == examples.targets["label"]
    best = data.best_accuracy()
    # Three standard errors, and the misread symbols.
    assert abs(right.mean() - best) < 3 * np.sqrt(best * (1 - best) / 5000) + 1e-3


def _story(task, n, count, rng, *, flip, missing):
    """The task as it is told, step by step: (symbols, labels)."""
    fair = rng.integers(0, 2, (2, n, count))
    y0, (a, b) = rng.integers(0, 2, n), fair
    error = 0.1 + 0.05 * np.arange(count)
    hit = rng.random((n, count)) < missing
    noisy = y0[:, None] ^ (rng.random((n, count)) < error)
    gone = np.zeros((n, count), bool)
    match task:
        case "redundant":
            a = np.repeat(y0[:, None], count, axis=1)
        case "unique":
            a[:, -1] = y0
        case "synergy":
            y0 = a.sum(axis=1) % 2
        case "missing":
            a, gone = noisy, hit
        case "noisy":
            a, b = np.where(hit, a, noisy), hit.astype(int)
        case "dominated":
            a[:, 0] = y0
            a[:, 1] = y0 ^ b[:, 1]
    label = y0 if task == "dominated" else y0 ^ (rng.random(n) < flip)
    return np.where(gone, planting.MISSING, a + 2 * b), label


@pytest.mark.parametrize("shape", ["vision_touch", "camera_radar_lidar"])
@pytest.mark.parametrize("task", [task for task in _TASKS if task != "misaligned"])
def test_the_table_is_the_story_of_the_task(task, shape):
    latents = Planted(task=task, shape=shape, flip=0.2, missing=0.4).latents
    n, count = 200_000, latents.shown.shape[1]
    rng = np.random.default_rng(0)
    told = _story(task, n, count, rng, flip=0.2, missing=0.4)
    drawn = latents.draw(n, rng)
    expected = np.zeros(2 * 5**count)

    def code(shown, label):
        return shown @ 5 ** np.arange(count) * 2 + label

    expected[code(latents.shown, latents.label)] = latents.probability
    assert expected.sum() == pytest.approx(1)
    for shown, label in (told, drawn):
        share = np.bincount(code(shown, label), minlength=len(expected)) / n
        assert np.all(np.abs(share - expected) <= 5 * np.sqrt(expected / n))


@pytest.mark.parametrize(
    "task, best, first, second",
    [
        ("redundant", 0.95, 0.95, 0.95),
        ("unique", 0.95, 0.5, 0.95),
        ("synergy", 0.95, 0.5, 0.5),
        # Present with 0.7: the first with 0.9, else the second with 0.85, else a coin.
        ("missing", 0.81815, 0.752, 0.7205),
        ("noisy", 0.81815, 0.752, 0.7205),
        ("misaligned", 0.95, 0.5, 0.5),
        ("dominated", 1.0, 1.0, 1.0),
    ],
)
def test_the_best_accuracies_are_those_of_a_pencil(task, best, first, second):
    data = Planted(task=task)
    assert data.best_accuracy() == pytest.approx(best)
    assert data.best_accuracy(["vision"]) == pytest.approx(first)
    assert data.best_accuracy(["touch"]) == pytest.approx(second)


@pytest.mark.parametrize("shape", _SHAPES)
def test_without_one_modality_synergy_is_a_coin(shape):
    data = Planted(task="synergy", shape=shape)
    count = len(data.modalities)
    for size in range(count):
        for some in itertools.combinations(range(count), size):
            assert data.latents.best_accuracy(some) == pytest.approx(0.5)
    assert data.best_accuracy() == pytest.approx(0.95)


def test_the_extremes_are_coins():
    for task in _TASKS:
        expected = 1.0 if task == "dominated" else 0.5
        assert Planted(task=task, flip=0.5).best_accuracy() == pytest.approx(expected)
    for task in ("missing", "noisy"):
        assert Planted(task=task, missing=1.0).best_accuracy() == pytest.approx(0.5)


def test_an_unknown_modality_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="modality: got 'sound', choose from vision, touch"):
        Planted().best_accuracy(["vision", "sound"])


@pytest.mark.parametrize("name", ["image", "text", *planting.SERIES])
def test_no_symbol_in_a_thousand_is_misread(name):
    symbols = np.arange(20_000) % 4
    rows = planting.render(name, symbols, Planted().noise, np.random.RandomState(0))
    wrong = np.mean([_read(name, row) != symbol for row, symbol in zip(rows, symbols, strict=True)])
    assert wrong < 1e-3


@pytest.mark.parametrize("name", planting.SERIES)
def test_a_series_has_at_least_half_of_its_tokens(name):
    look = planting.SERIES[name]
    rows = planting.render(name, np.zeros(2000, int), 0.25, np.random.default_rng(0))
    assert {len(row) for row in rows} == set(range((look.tokens + 1) // 2, look.tokens + 1))
    assert {row.shape[1] for row in rows} == {look.features}
    assert rows[0].dtype == np.float32


def test_a_sentence_has_five_to_nine_words_and_shows_a_bit_anywhere():
    rows = planting.render("text", np.full(3000, 2), 0.25, np.random.default_rng(0))
    texts = [row.split() for row in rows]
    assert {len(text) for text in texts} == {5, 6, 7, 8, 9}
    for wordings in (planting.WORDS[0][0], planting.WORDS[1][1]):
        found = [[i for i, word in enumerate(text) if word in wordings] for text in texts]
        assert {len(places) for places in found} == {1}
        assert {places[0] for places in found} == set(range(9))
        assert {word for text in texts for word in text if word in wordings} == set(wordings)
    assert {word for text in texts for word in text} >= set(planting.FILLERS)


@pytest.mark.parametrize("shape", _TIMED)
def test_misaligned_marks_one_moment_and_no_mean_tells_anything(shape):
    first, second, *_ = _whole(Planted(task="misaligned", shape=shape)).inputs.values()
    marks = np.array(first)[:, :, 0] > 0
    assert np.mean(marks.sum(axis=1) == 1) > 0.998  # but for noise, all
    np.testing.assert_allclose(marks.mean(axis=0), 1 / 6, atol=0.03)
    bits = np.array(second)[:, :, 0] > 0
    assert np.mean(bits.mean(axis=1) == 0.5) > 0.998
    np.testing.assert_allclose(bits.mean(axis=0), 0.5, atol=0.04)
    assert np.array(second)[:, :, 0].shape[1] != 6  # another rate


@pytest.mark.parametrize("shape", _SHAPES)
def test_a_missing_modality_is_none_in_its_share_of_rows(shape):
    data = Planted(task="missing", shape=shape, missing=0.4)
    examples = _whole(data)
    gone = np.array([[row is None for row in rows] for rows in examples.inputs.values()])
    spread = 4 * np.sqrt(0.4 * 0.6 / 2048)
    np.testing.assert_allclose(gone.mean(axis=1), 0.4, atol=spread)
    assert gone.all(axis=0).mean() == pytest.approx(0.4 ** len(gone), abs=spread)
    inputs = data.preprocessing()(examples.inputs)
    for mask, absent in zip((inputs[name].mask for name in examples.inputs), gone, strict=True):
        np.testing.assert_array_equal(mask.reshape(len(mask), -1).any(axis=1), ~absent)


@pytest.mark.parametrize("missing", [0.0, 1.0])
def test_all_missing_or_nothing_missing_is_no_error(missing):
    for task, shape in itertools.product(("missing", "noisy"), _SHAPES):
        data = Planted(task=task, shape=shape, missing=missing, noise=0.0, test_size=20)
        inputs = data.preprocessing()(_whole(data).inputs)
        present = missing == 0 or task == "noisy"
        for modality in inputs.values():
            assert modality.mask.reshape(20, -1).any(axis=1).tolist() == [present] * 20
            assert np.isfinite(modality.values).all()


@pytest.mark.parametrize("shape", _SHAPES)
def test_what_is_read_to_train_on_is_fresh_and_a_function_of_the_generator(shape):
    source = Planted(task="noisy", shape=shape).source("train")
    indices, rng = np.arange(40), np.random.default_rng(1)
    first, second = source.read(indices, rng), source.read(indices, rng)
    assert not _same(first, second)
    assert _same(first, source.read(indices + 7, np.random.default_rng(1)))
    assert {len(rows) for rows in first.inputs.values()} == {40}
    assert not _same(first, source.read(indices, np.random.default_rng(2)))


@pytest.mark.parametrize("task, shape", _CASES)
def test_evaluation_examples_do_not_depend_on_how_they_are_read(task, shape):
    data = Planted(task=task, shape=shape, test_size=60)
    whole = _whole(data)
    source = data.source("test")
    source.read(np.arange(10), np.random.default_rng(0))
    for chunk in np.array_split(np.random.default_rng(0).permutation(60), 7):
        part = source.read(chunk, None)
        for name, rows in whole.inputs.items():
            for i, row in zip(chunk, part.inputs[name], strict=True):
                assert rows[i] is row is None or np.array_equal(rows[i], row)
        np.testing.assert_array_equal(part.targets["label"], whole.targets["label"][chunk])


def test_what_is_evaluated_on_is_drawn_once(monkeypatch):
    drawn, draw = [], Planted.draw
    monkeypatch.setattr(Planted, "draw", lambda *args: drawn.append(args) or draw(*args))
    source = Planted(test_size=10).source("test")
    for _ in range(3):
        source.read(np.arange(10), None)
    assert len(drawn) == 1


def test_splits_and_seeds_have_examples_of_their_own():
    sizes = {"train_size": 50, "validation_size": 50, "test_size": 50}
    found = [_whole(Planted(**sizes), split) for split in ("train", "validation", "test")]
    found.append(_whole(Planted(**sizes, seed=1)))
    assert not any(_same(one, other) for one, other in itertools.combinations(found, 2))
    assert _same(found[2], _whole(Planted(**sizes)))


def test_each_split_has_its_size():
    data = Planted(train_size=3, validation_size=4, test_size=5)
    assert [len(data.source(split)) for split in ("train", "validation", "test")] == [3, 4, 5]


def test_the_examples_to_test_on_are_these_for_ever():
    examples = _whole(Planted(task="missing", test_size=8))
    assert examples.targets["label"].tolist() == [0, 1, 0, 0, 0, 0, 1, 0]
    assert [row is None for row in examples.inputs["vision"]] == [
        True,
        True,
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    np.testing.assert_allclose(
        examples.inputs["vision"][2][0, :4], [-1.0912, -1.03361, 1.0, 0.0], atol=1e-5
    )


def test_one_program_serves_every_task():
    shapes = set()
    for task in _TASKS:
        data = Planted(task=task, test_size=5)
        inputs = data.preprocessing()(_whole(data).inputs)
        shapes.add(tuple((name, i.values.shape, i.values.dtype) for name, i in inputs.items()))
    assert len(shapes) == 1


@pytest.mark.parametrize("shape", _SHAPES)
def test_what_is_trained_on_is_standardised_and_every_word_is_known(shape):
    data = Planted(shape=shape)
    rng = np.random.default_rng(0)
    preprocessing = data.preprocessing()
    inputs = preprocessing(data.source("train").read(np.arange(2000), rng).inputs)
    for name, modality in inputs.items():
        if name == "text":
            assert not np.any(modality.values == preprocessing.transforms[name].unknown)
            continue
        read = modality.values[modality.mask]
        assert abs(read.mean()) < 0.05 and abs(read.std() - 1) < 0.05


@pytest.mark.parametrize("shape", ["image_text", "vision_touch"])
def test_the_pipeline_takes_the_examples(shape):
    data = Planted(task="missing", shape=shape, test_size=30)
    batches = list(eval_batches(data.source("test"), data.preprocessing(), batch_size=16))
    assert [int(batch.weight.sum()) for batch in batches] == [16, 14]
    assert batches[0].targets["label"].values.dtype == np.float32


def test_every_field_is_a_flag():
    assert tyro.cli(Planted, args=["--task", "noisy", "--shape", "image_text"]) == Planted(
        task="noisy", shape="image_text"
    )
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
        tyro.cli(Planted, args=["--help"])
    for field in dataclasses.fields(Planted):
        assert f"--{field.name.replace('_', '-')}" in text.getvalue()
    assert "how the label depends" in text.getvalue().lower()


def test_a_configuration_is_a_plain_comparable_value():
    data = Planted()
    data.best_accuracy()  # which keeps its table
    assert data == Planted() and hash(data) == hash(Planted()) and data != Planted(seed=1)


def test_an_unknown_split_is_refused_with_the_known():
    with pytest.raises(ValueError, match="split: got 'dev', choose from train, validation, test"):
        Planted().source("dev")


@pytest.mark.parametrize(
    "changes, message",
    [
        *(
            (
                {"task": "misaligned", "shape": shape},
                f"task 'misaligned' needs .* got '{shape}', choose from {', '.join(_TIMED)}",
            )
            for shape in _SHAPES
            if shape not in _TIMED
        ),
        ({"flip": -0.1}, "flip: expected 0 to 0.5, got -0.1"),
        ({"flip": 0.51}, "flip: expected 0 to 0.5, got 0.51"),
        ({"missing": -0.1}, "missing: expected 0 to 1, got -0.1"),
        ({"missing": 1.1}, "missing: expected 0 to 1, got 1.1"),
        ({"noise": -0.1}, "noise: expected a finite number, 0 or more, got -0.1"),
        ({"noise": np.inf}, "noise: expected a finite number, 0 or more, got inf"),
        ({"train_size": 0}, "train_size: expected at least 1, got 0"),
        ({"validation_size": 0}, "validation_size: expected at least 1, got 0"),
        ({"test_size": 0}, "test_size: expected at least 1, got 0"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"seed": 2**32}, "seed: expected 0 to"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Planted(**changes)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("task", "easy", "task: got 'easy', choose from redundant, unique, synergy, missing,"),
        ("shape", "smell", "shape: got 'smell', choose from image_text, image_table"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known(name, value, message):
    data = Planted()
    object.__setattr__(data, name, value)  # the tests' type checks would be faster than ours
    with pytest.raises(ValueError, match=message):
        data.__post_init__()


@pytest.mark.parametrize("task", _TASKS)
def test_the_best_decisions_score_as_those_of_who_knows_the_renderer(task):
    data = Planted(task=task, test_size=2000)
    examples = _whole(data)
    answers = _answers(task, data.modalities, examples.inputs)
    score = np.mean(answers == examples.targets["label"])
    assert abs(data.best_score("test") - score) < 2e-3  # misread symbols
    assert abs(data.best_score("test") - data.best_accuracy()) < 0.03
