"""The rules that generate SHAPES: hand-made scenes, drawn pictures, and the published files."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import mmjax

FOLDER = Path(__file__).parents[1] / "experiments"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


rules = load("shapes_rules")
files = load("shapes_data")
MANUAL_DIR = os.environ.get("MMJAX_SHAPES")
published = pytest.mark.skipif(not MANUAL_DIR, reason="MMJAX_SHAPES names no folder")


def scene(text):
    """One scene: `rc` is a red circle, `gs` a green square, `bt` a blue triangle, `--` nothing."""
    cells = text.split()
    return rules.Scene(
        occupied=np.array([[cell != "--" for cell in cells]]),
        shape=np.array([[max("cst".find(cell[1]), 0) for cell in cells]]),
        radius=np.full((1, 9), 2.5),
        colour=np.array([[np.eye(3)[max("rgb".find(cell[0]), 0)] for cell in cells]]),
    )


ROW = """
-- -- --
rc gs --
-- -- bt
"""


@pytest.mark.parametrize(
    ("query", "truth"),
    [
        ("(is red circle)", True),
        ("(is red square)", False),
        ("(is red red)", True),
        ("(is red green)", False),
        ("(is red (left_of green))", True),
        ("(is green (left_of red))", False),
        ("(is green (right_of circle))", True),
        ("(is blue (below square))", False),
        # The cell right of the square and above the triangle is empty, and counts.
        ("(is square (left_of (above triangle)))", True),
        ("(is triangle (below (right_of square)))", True),
        # There and back again: the cell itself, but not by way of a cell outside the picture.
        ("(is red (left_of (right_of red)))", True),
        ("(is red (right_of (left_of red)))", False),
        # Two columns apart.
        ("(is red (left_of (left_of triangle)))", False),
    ],
)
def test_relations_mean_adjacent_cells_that_may_be_empty(query, truth):
    assert rules.answer([rules.parse(query)], scene(ROW)).tolist() == [truth]


def test_every_question_is_answered_about_its_own_picture():
    both = rules.Scene(*(np.concatenate(p) for p in zip(scene(ROW), scene("-- " * 9), strict=True)))
    asked = [rules.parse("(is red circle)"), rules.parse("(is red circle)")]
    assert rules.answer(asked, both).tolist() == [True, False]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("(is green red)", "is a green shape red"),
        ("(is green square)", "is a green shape a square"),
        ("(is circle (left_of red))", "is a circle left of a red shape"),
        ("(is red (above (right_of square)))", "is a red shape above right of a square"),
    ],
)
def test_a_question_is_worded_as_the_authors_word_it(query, text):
    assert rules.parse(query).text == text


@pytest.mark.parametrize("query", ["", "(is red)", "(is pink red)", "(is red (near red))"])
def test_another_query_is_refused(query):
    with pytest.raises(mmjax.UserError, match="query: expected such as"):
        rules.parse(query)


def test_held_out_templates_are_never_asked():
    asked, shares = rules.questions({"above above", "left_of"})
    assert {one.template for one in asked}.isdisjoint({"above above", "left_of"})
    assert len(asked) == 36 * 19 and np.isclose(shares.sum(), 1)
    for length, share in enumerate(rules.LENGTHS):
        own = [len(one.relations) == length for one in asked]
        assert np.isclose(shares[own].sum(), share)


def test_what_is_drawn_is_read_again():
    drawn = rules.scenes(200, np.random.default_rng(0))
    seen = rules.scene_of(rules.draw(drawn))
    np.testing.assert_array_equal(seen.occupied, drawn.occupied)
    np.testing.assert_array_equal(seen.attributes(), drawn.attributes())
    np.testing.assert_allclose(seen.radius[seen.occupied], drawn.radius[seen.occupied], atol=0.05)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(mmjax.UserError, match=r"--manual-dir .*val\.input\.npy"):
        files.official(tmp_path, "val")


@pytest.fixture(scope="module")
def small():
    return files.official(Path(MANUAL_DIR), "train.small")


@published
@pytest.mark.parametrize("split", files.SPLITS)
def test_the_rules_give_every_official_answer_and_text(split):
    data = files.official(Path(MANUAL_DIR), split)
    assert len(data.answers) == files.SPLITS[split]
    assert files.agreement(data) == 1
    assert [one.text for one in data.questions] == files.texts(Path(MANUAL_DIR), split)


@published
def test_official_pictures_are_drawn_again_nearly_pixel_by_pixel(small):
    difference = np.abs(rules.draw(rules.scene_of(small.pictures)).astype(int) - small.pictures)
    assert difference.mean() < 0.5 and difference.max() <= 24


@published
def test_drawn_scenes_have_the_statistics_of_train_small(small):
    official, drawn = (
        rules.scene_of(small.pictures),
        rules.scenes(20_000, np.random.default_rng(0)),
    )
    shapes = [np.bincount(one.occupied.sum(1), minlength=10) for one in (official, drawn)]
    np.testing.assert_allclose(shapes[0] / 640, shapes[1] / 20_000, atol=0.06)
    cells = [one.attributes().sum(axis=2).mean(axis=0) for one in (official, drawn)]
    np.testing.assert_allclose(cells[0], cells[1], atol=0.15)
    levels = np.linspace(0.1, 0.9, 9)
    for part in ("radius", "colour"):
        pair = [np.quantile(getattr(s, part)[s.occupied], levels) for s in (official, drawn)]
        # Half of the radii are small: quantiles are compared away from the gap.
        keep = levels != 0.5 if part == "radius" else slice(None)
        np.testing.assert_allclose(pair[0][keep], pair[1][keep], atol=0.06)


@published
def test_the_share_of_yes_by_length_is_that_of_train_small(small):
    """Of the same questions about drawn pictures; 64 official pictures have an error of 0.06."""
    rng = np.random.default_rng(0)
    lengths = np.array([len(one.relations) for one in small.questions])
    drawn = np.concatenate(
        [rules.answer(small.questions, rules.scenes(640, rng))[None] for _ in range(20)]
    )
    for length in range(3):
        rows = lengths == length
        assert rows.mean() == pytest.approx(rules.LENGTHS[length])
        assert abs(small.answers[rows].mean() - drawn[:, rows].mean()) < 0.06


def write_official(folder, split, count, rng):
    """Made-up files of a split."""
    asked, shares = rules.questions()
    made = files.examples(count, asked, shares, rng)
    np.save(folder / f"{split}.input.npy", made.pictures[..., ::-1])
    lines = [nested(one) for one in made.questions]
    (folder / f"{split}.query").write_text("\n".join(lines) + "\n")
    words = ["true" if one else "false" for one in made.answers]
    (folder / f"{split}.output").write_text("\n".join(words) + "\n")
    return made


def nested(question):
    second = question.second
    for relation in reversed(question.relations):
        second = f"({relation} {second})"
    return f"(is {question.first} {second})"


def test_files_are_read_as_they_were_written(tmp_path):
    made = write_official(tmp_path, "val", 30, np.random.default_rng(0))
    again = files.official(tmp_path, "val")
    np.testing.assert_array_equal(again.pictures, made.pictures)
    assert again.questions == made.questions and files.agreement(again) == 1


@pytest.fixture
def reasoning(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setitem(sys.modules, "shapes_rules", rules)
    return load("shapes_reasoning")


def test_no_tested_question_and_no_held_out_template_is_trained_on(tmp_path, reasoning):
    for split in ("val", "test"):
        write_official(tmp_path, split, 100, np.random.default_rng(len(split)))
    data = files.Shapes(str(tmp_path))
    tested = {one.text for part in data.official.values() for one in part.questions}
    rows = data.source("train").read(np.arange(3000), np.random.default_rng(0))
    asked = set(rows.inputs["question"])
    assert len(asked) > 200 and asked.isdisjoint(tested)
    assert not any("left of left of" in text for text in asked)


@pytest.mark.slow
@pytest.mark.usefixtures("standard_promotion")
def test_shapes_reasoning_is_trained_and_printed(tmp_path, reasoning, monkeypatch, capsys):
    for split in ("val", "test"):
        write_official(tmp_path, split, 100, np.random.default_rng(len(split)))
    monkeypatch.setattr(reasoning, "DRAWN", 64)
    models = ("question alone", "cross_attention")
    reasoning.main(tmp_path, models, seeds=1, steps=2, workdir=tmp_path / "out")
    printed = capsys.readouterr().out
    for name in models:
        assert f"| {name} | " in printed
    assert (tmp_path / "out" / "attention.png").stat().st_size > 1000
