import dataclasses

import numpy as np
import pytest

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.augment import ImageAugment, drop_words
from mmjax.data.transforms.text import TextTransform
from mmjax.types import Masked
from tests.data.transforms.tokenizers import bert_json, gpt2_json

_IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 11, 2), dtype=np.uint8)
_FIELDS = [field.name for field in dataclasses.fields(ImageAugment)]
_SOME = {"shift": 2.0, "rotation": 20.0, "scale": 0.2, "noise": 10.0, "cutout": 3}


def _rng(seed=1):
    return np.random.default_rng(seed)


def test_all_off_returns_the_same_array_and_draws_nothing():
    rng = _rng()
    assert ImageAugment()(_IMAGES, rng) is _IMAGES
    assert rng.bit_generator.state == _rng().bit_generator.state


@pytest.mark.parametrize("name", _FIELDS)
def test_each_field_changes_images_and_leaves_the_original(name):
    before = _IMAGES.copy()
    augment = ImageAugment(**{name: _SOME[name]})
    after = augment(_IMAGES, _rng())
    assert after.dtype == np.uint8
    assert after.shape == _IMAGES.shape
    assert all((after[i] != before[i]).any() for i in range(len(before)))
    np.testing.assert_array_equal(_IMAGES, before)
    np.testing.assert_array_equal(augment(_IMAGES, _rng()), after)
    assert (augment(_IMAGES, _rng(2)) != after).any()


@pytest.mark.parametrize("name", _FIELDS)
def test_impossible_values_are_named(name):
    with pytest.raises(ValueError, match=rf"augment\.{name}: expected 0 or more, got -"):
        ImageAugment(**{name: -_SOME[name]})


def test_a_scale_of_one_would_be_no_image_at_all():
    with pytest.raises(ValueError, match=r"augment\.scale: expected less than 1"):
        ImageAugment(scale=1.0)


def _spot(row, column):
    image = np.zeros((1, 31, 31, 1), np.uint8)
    image[0, row - 1 : row + 2, column - 1 : column + 2] = 255
    return image


def _centre(image):
    mass = image[0, :, :, 0].astype(float)
    rows, columns = np.indices(mass.shape)
    return np.array([(mass * rows).sum(), (mass * columns).sum()]) / mass.sum()


def test_a_shift_stays_within_its_pixels_and_uses_them():
    moves = np.array(
        [
            _centre(ImageAugment(shift=4.0)(_spot(15, 15), _rng(seed))) - [15, 15]
            for seed in range(60)
        ]
    )
    assert np.abs(moves).max() <= 4.01
    assert (moves.max(0) > 2).all()
    assert (moves.min(0) < -2).all()


def test_a_rotation_turns_about_the_centre_by_its_degrees_at_most():
    angles = []
    for seed in range(60):
        offset = _centre(ImageAugment(rotation=30.0)(_spot(15, 25), _rng(seed))) - [15, 15]
        np.testing.assert_allclose(np.hypot(*offset), 10, atol=0.3)
        angles.append(np.degrees(np.arctan2(*offset)))
    assert max(np.abs(angles)) < 31
    assert max(angles) > 15
    assert min(angles) < -15


def test_a_scale_moves_things_away_from_the_centre_by_its_share_at_most():
    distances = np.array(
        [
            (_centre(ImageAugment(scale=0.2)(_spot(15, 25), _rng(seed))) - [15, 15])[1]
            for seed in range(60)
        ]
    )
    assert 7.9 < distances.min() < 9
    assert 11 < distances.max() < 12.1


def test_noise_has_its_deviation_and_does_not_wrap_round():
    grey = np.full((4, 50, 50, 1), 128, np.uint8)
    assert abs(ImageAugment(noise=10.0)(grey, _rng()).std() - 10) < 0.3
    white = np.full((4, 50, 50, 1), 255, np.uint8)
    assert ImageAugment(noise=10.0)(white, _rng()).min() > 200


@pytest.mark.parametrize("side", [1, 3, 50])
def test_cutout_blackens_one_square(side):
    white = np.full((8, 9, 11, 3), 255, np.uint8)
    black = (ImageAugment(cutout=side)(white, _rng()) == 0).all(-1)
    assert black.sum((1, 2)).tolist() == [min(side, 9) * min(side, 11)] * 8
    assert (black.any(2).sum(1) == min(side, 9)).all()


_WORDS = TextTransform.fit(["a"], vocabulary_size=9, max_words=3)


def _text():
    values = np.arange(2, 2 + 4 * 500, dtype=np.int32).reshape(4, 500)
    mask = np.arange(500) < np.array([500, 300, 1, 0])[:, None]
    return Masked(np.where(mask, values, 0).astype(np.int32), mask)


def _dropped(rate, text, transform=_WORDS):
    preprocessing = Preprocessing({"text": transform})
    return drop_words({"text": text}, ("text",), preprocessing, rate, _rng())["text"]


def test_dropped_words_become_the_unknown_word_at_the_rate():
    text = _text()
    result = _dropped(0.25, text, _WORDS)
    changed = result.values != text.values
    assert (result.values[changed] == _WORDS.unknown).all()
    assert abs(changed.sum() / text.mask.sum() - 0.25) < 0.05
    assert not changed[~text.mask].any()
    assert result.values.dtype == np.int32
    np.testing.assert_array_equal(result.mask, text.mask)


def test_a_rate_of_zero_returns_the_text_and_one_drops_every_word():
    text = _text()
    assert _dropped(0.0, text) is text
    assert (_dropped(1.0, text, _WORDS).values[text.mask] == _WORDS.unknown).all()


def test_words_that_begin_and_end_a_text_are_never_dropped():
    bert = TextTransform(max_words=6, tokenizer=bert_json())
    text = bert(["hello worlds", "world", ""])
    result = _dropped(1.0, text, bert)
    assert result.values.tolist() == [[3, 2, 2, 2, 4, 0], [3, 2, 4, 0, 0, 0], [0] * 6]


def test_without_an_unknown_word_nothing_can_be_dropped():
    gpt2 = TextTransform(max_words=6, tokenizer=gpt2_json())
    with pytest.raises(ValueError, match=r"--data\.word-dropout: expected 0, the tokenizer has no"):
        _dropped(0.1, gpt2(["hello"]), gpt2)
    assert _dropped(0.0, gpt2(["hello"]), gpt2).mask.any()


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(ValueError, match="word_dropout: expected 0 to 1"):
        _dropped(rate, _text())
