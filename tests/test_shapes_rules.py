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


def statistics(scene):
    """Shares of pictures by their number of shapes; cells of each attribute in a picture; deciles.

    Without the medians: half of the radii are small, and the median lies in the gap.
    """
    levels = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
    return {
        "shapes": np.bincount(scene.occupied.sum(axis=1), minlength=10) / len(scene.occupied),
        "cells": scene.attributes().sum(axis=2).mean(axis=0),
        "radius": np.quantile(scene.radius[scene.occupied], levels),
        "colour": np.quantile(scene.colour[scene.occupied], levels),
    }


# Of the official train.small: 640 pictures, 64 for each of ten questions.
OFFICIAL = {
    "shapes": np.array([0, 0, 0, 3, 12, 34, 98, 193, 201, 99]) / 640,
    "cells": np.array([1583, 1565, 1517, 1517, 1598, 1550]) / 640,
    "radius": [2.341, 2.446, 2.544, 2.650, 3.535, 3.683, 3.847, 3.981],
    "colour": [0.0, 0.0, 0.0, 0.035, 0.157, 0.843, 0.965, 1.0],
}
YES = {  # pictures of which the answer is yes, of 64
    "(is square circle)": 0,
    "(is green (left_of red))": 27,
    "(is square (right_of square))": 20,
    "(is circle (above square))": 25,
    "(is triangle (above green))": 27,
    "(is green (above circle))": 26,
    "(is circle (above circle))": 23,
    "(is triangle (above (above circle)))": 12,
    "(is square (right_of (above red)))": 18,
    "(is square (left_of (above square)))": 17,
}


@published
def test_the_statistics_are_those_of_train_small(small):
    for name, found in statistics(rules.scene_of(small.pictures)).items():
        np.testing.assert_allclose(found, OFFICIAL[name], atol=1e-3)
    for query, yes in YES.items():
        assert small.answers[[one == rules.parse(query) for one in small.questions]].sum() == yes


def test_drawn_scenes_have_the_statistics_of_train_small():
    within = {"shapes": 0.06, "cells": 0.15, "radius": 0.06, "colour": 0.06}
    for name, drawn in statistics(rules.scenes(20_000, np.random.default_rng(0))).items():
        np.testing.assert_allclose(drawn, OFFICIAL[name], atol=within[name], err_msg=name)


def test_the_share_of_yes_by_length_is_that_of_train_small():
    """Of the same questions about drawn pictures; 64 official pictures have an error of 0.06."""
    questions = [rules.parse(query) for query in YES]
    rng = np.random.default_rng(0)
    drawn = [np.mean(rules.answer([q] * 1280, rules.scenes(1280, rng))) for q in questions]
    lengths = np.array([len(one.relations) for one in questions])
    for length in range(3):
        rows = lengths == length
        assert rows.mean() == pytest.approx(rules.LENGTHS[length])
        assert abs(np.array([*YES.values()])[rows].mean() / 64 - np.mean(drawn, where=rows)) < 0.06


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
    monkeypatch.setattr(reasoning, "at_once", map)  # no process finds what was loaded like this
    models = ("question alone", "cross_attention")
    reasoning.main(tmp_path, models=models, seeds=1, steps=2, workdir=tmp_path / "out")
    printed = capsys.readouterr().out
    for name in models:
        assert f"| {name} | " in printed
    assert "| model | above left_of | below above |" in printed
    assert (tmp_path / "out" / "attention.png").stat().st_size > 1000
