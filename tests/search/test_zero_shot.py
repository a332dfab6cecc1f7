"""Zero-shot classes by their names."""

import csv

import pytest

from mmjax.errors import UserError
from mmjax.search.zero_shot import ZeroShot
from tests.cli.command import mmjax

pytestmark = pytest.mark.usefixtures("standard_promotion")


def test_pictures_are_what_they_are_called(colours):
    run, table = colours
    classify = ZeroShot(run, ["red", "green", "blue"], ["{}", "{} square"])
    read = classify.preprocessing.transforms["image"].read
    words = ("red", "green", "blue")
    rows = [
        {"image": read(f"pictures/{word}/{n}.png", table.parent)} for n, word in enumerate(words)
    ]
    answers = [answer["class"] for answer in classify(rows)]
    assert [answer["value"] for answer in answers] == list(words)
    for answer in answers:
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        assert answer["probability"] == max(answer["probabilities"].values()) > 0.5
    (missing,) = classify([{"image": None}])
    assert list(missing["class"]["probabilities"].values()) == pytest.approx([1 / 3] * 3)


def test_the_command_puts_answers_beside_the_rows_and_overwrites_none(colours, tmp_path):
    run, table = colours
    picture = table.parent / "pictures" / "blue" / "2.png"
    (tmp_path / "a.csv").write_text(f"image,class\n{picture},blue square\n,none\n")
    classes, out = "red, blue square", tmp_path / "out.csv"
    mmjax("predict", run, "--classes", classes, "--batch", tmp_path / "a.csv", "--out", out)
    with out.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["class"] == first["predicted.class"] == "blue square"
    assert second["class"] == "none" and float(second["class.probability"]) == 0.5
    assert second["notes"] == "image was missing" and list(tmp_path.glob(".draft*")) == []


@pytest.mark.parametrize(
    ("classes", "templates", "message"),
    [
        (["red"], ["{}"], "two or more different ones, got"),
        (["red", "red"], ["{}"], "two or more different"),
        (["red", "purple"], ["{}"], "'purple': none of its words is known"),
        (["red", "blue"], ["a photo"], r"--templates: expected \{\} in each, got \['a photo'\]"),
        (["red", "blue"], [], r"in each, got none"),
    ],
)
def test_bad_classes(colours, classes, templates, message):
    with pytest.raises(UserError, match=message):
        ZeroShot(colours[0], classes, templates)
