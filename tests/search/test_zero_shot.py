"""Zero-shot classes by their names."""

import re

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


def test_the_command(colours):
    run, table = colours
    picture = table.parent / "pictures" / "blue" / "2.png"
    shown = mmjax("predict", run, "--classes", "red, blue square", "--image", picture)
    assert re.fullmatch(r"class blue square \(p = (0|1)\.\d{4}\)\n", shown)


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
