import contextlib
import dataclasses
import io
import re

import pytest
import tyro

from mmjax.data.dataset import Dataset
from mmjax.data.datasets import DATASETS, Mixed, Planted, Reviewed, TableData, Utterances
from mmjax.data.datasets.caption_match import CaptionMatch
from mmjax.data.datasets.match import Match
from mmjax.data.transforms.augment import ImageAugment
from mmjax.data.transforms.text import TextTransform

_MATCH = {name: kind for name, kind in DATASETS.items() if issubclass(kind, Match)}
_CAPTIONED = {name: kind for name, kind in _MATCH.items() if issubclass(kind, CaptionMatch)}


@pytest.mark.parametrize("kind", DATASETS.values(), ids=DATASETS)
def test_a_configuration_is_a_plain_comparable_value(kind):
    assert issubclass(kind, Dataset)
    assert kind() == kind()


@pytest.mark.parametrize(
    "data, shares",
    [
        *((kind(), True) for kind in _MATCH.values()),
        (DATASETS["digits_class"](), False),
        (Mixed({"a": Planted(), "b": Planted()}), False),
        (Mixed({"a": Planted(), "b": Planted()}, {"a": 1.0, "b": 2.0}), True),
        (Mixed({"a": Planted(), "b": DATASETS["digits_match"]()}), True),
        (Utterances(file="x.npz"), False),
        (Utterances(file="x.npz", context=1), True),
        (Utterances(file="x.npz", ahead=1), True),
        (Reviewed(), True),
        (TableData(), False),
        (TableData(balance="label"), True),
    ],
    ids=str,
)
def test_private_training_knows_where_a_row_is_in_several_examples(data, shares):
    assert data.shares_rows == shares


@pytest.mark.parametrize("kind", _MATCH.values(), ids=_MATCH)
def test_where_it_lies_is_part_of_a_configuration(kind):
    assert kind(**{"data_dir": "x"}) != kind()


@pytest.mark.parametrize("kind", _MATCH.values(), ids=_MATCH)
def test_the_command_line_reaches_every_field_and_explains_it(kind):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
        tyro.cli(kind, args=["--help"])
    for field in dataclasses.fields(kind):
        assert f"--{field.name.replace('_', '-')}" in text.getvalue()
    words = re.sub(r"[^a-z0-9=]+", " ", text.getvalue().lower())
    assert ("longer captions are cut" in words) == (kind in _CAPTIONED.values())
    assert "largest rotation in degrees" in words


@pytest.mark.parametrize("kind", _CAPTIONED.values(), ids=_CAPTIONED)
def test_nested_flags_set_the_augmentation(kind):
    data = tyro.cli(kind, args=["--augment.shift", "2", "--word-dropout", "0.1"])
    assert data == kind(augment=ImageAugment(shift=2.0), word_dropout=0.1)


@pytest.mark.parametrize("kind", _MATCH.values(), ids=_MATCH)
def test_an_unknown_split_is_refused_before_anything_is_built(kind, tmp_path):
    with pytest.raises(ValueError, match="split: got 'dev', choose from train, validation, test"):
        kind(data_dir=str(tmp_path)).source("dev")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", _CAPTIONED.values(), ids=_CAPTIONED)
def test_no_caption_names_two_classes_and_all_fit(kind):
    captions = kind.captions
    assert len(captions) == 10
    assert all(len(set(texts)) == len(texts) >= 6 for texts in captions)
    together = [text for texts in captions for text in texts]
    assert len(set(together)) == len(together)
    text = TextTransform.fit(together, vocabulary_size=10_000, max_words=10)
    assert max(text.words(caption) for caption in together) <= kind().max_words


@pytest.mark.parametrize("kind", _CAPTIONED.values(), ids=_CAPTIONED)
def test_articles_are_right(kind):
    for texts in kind.captions:
        for text in texts:
            assert not re.search(r"\ba (8|[aeiou](?!ne))", text), text
            assert not re.search(r"\ban (?!8|[aeiou])", text), text


def test_digits_are_named_by_word_and_by_numeral():
    for kind in ("digits_match", "mnist_match"):
        captions = _CAPTIONED[kind].captions
        assert {"the digit seven", "number 7", "a handwritten 7", "this is a seven"} <= set(
            captions[7]
        )
        assert {"an eight", "an 8", "this is an eight"} <= set(captions[8])


def test_fashion_is_named_in_words_that_people_use():
    captions = _CAPTIONED["fashion_match"].captions
    assert {"this shows a t-shirt", "this is a tee"} <= set(captions[0])
    assert {"a pair of sneakers", "a picture of a trainer"} <= set(captions[7])
    assert {"an ankle boot", "here we see a pair of ankle boots"} <= set(captions[9])
