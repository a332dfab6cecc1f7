from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from mmjax.data.datasets.caption_match import CaptionMatch
from mmjax.data.datasets.match import MatchSource
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.augment import ImageAugment
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.text import TextTransform

_CAPTIONS = (("a cat", "cat"), ("a dog", "dog", "hound"), ("an owl",), ("a bee", "bee"))
_CLASS = {text: number for number, texts in enumerate(_CAPTIONS) for text in texts}
_N = 40
_LABELS = np.arange(_N) % 4
# Each image carries its own number and its class in its pixels.
_IMAGES = np.stack([np.full((2, 2, 1), i, np.uint8) for i in range(_N)])


def _source(**changes):
    given = {"images": _IMAGES, "labels": _LABELS, "partners": _CAPTIONS}
    return MatchSource(**(given | {"modality": "text", "seed": 3} | changes))


def _read(source, indices, rng=None):
    examples = source.read(np.asarray(indices), rng)
    images = examples.inputs["image"][:, 0, 0, 0]
    return images, list(examples.inputs["text"]), examples.targets["match"]


def test_the_label_says_whether_the_caption_names_the_class():
    source = _source()
    for rng in (None, np.random.default_rng(0)):
        images, texts, match = _read(source, np.arange(len(source)), rng)
        named = np.array([_CLASS[text] for text in texts])
        np.testing.assert_array_equal(match == 1, named == _LABELS[images])
        assert match.dtype == np.float32
        assert set(match) == {0.0, 1.0}


def test_evaluation_shows_every_image_once_with_a_true_and_once_with_a_false_caption():
    source = _source()
    images, _, match = _read(source, np.arange(len(source)))
    assert len(source) == 2 * _N
    assert Counter(zip(images, match, strict=True)) == Counter(
        (image, match) for image in range(_N) for match in (0.0, 1.0)
    )


def test_evaluation_pairs_do_not_depend_on_how_they_are_read():
    source, again = _source(), _source()
    whole = _read(source, np.arange(80))
    order = np.random.default_rng(0).permutation(80)
    for chunk in np.array_split(order, 7):
        images, texts, match = _read(again, chunk)
        np.testing.assert_array_equal(images, whole[0][chunk])
        assert texts == [whole[1][i] for i in chunk]
        np.testing.assert_array_equal(match, whole[2][chunk])
    assert _read(_source(seed=4), np.arange(80))[1] != whole[1]


def test_evaluation_pairs_are_these_for_ever():
    assert _read(_source(), np.arange(6))[1] == ["cat", "a dog", "dog", "an owl", "an owl", "bee"]


def test_training_pairs_are_drawn_afresh_as_often_true_as_false():
    source, rng = _source(), np.random.default_rng(0)
    indices = np.repeat(np.arange(80), 100)
    images, texts, match = _read(source, indices, rng)
    np.testing.assert_array_equal(images, indices // 2)
    assert abs(match.mean() - 0.5) < 0.02
    false = np.array([_CLASS[text] for text in texts])[(_LABELS[images] == 1) & (match == 0)]
    shares = np.bincount(false, minlength=4) / len(false)
    np.testing.assert_allclose(shares, [1 / 3, 0, 1 / 3, 1 / 3], atol=0.05)
    wordings = Counter(text for text in texts if _CLASS[text] == 1)
    assert min(wordings.values()) > 0.28 * sum(wordings.values())
    assert _read(source, indices, rng)[1] != texts


def test_only_training_images_are_augmented():
    source = _source(augment=ImageAugment(cutout=2))
    indices = np.arange(80)
    assert not _read(source, indices, np.random.default_rng(0))[0].any()
    np.testing.assert_array_equal(_read(source, indices)[0], indices // 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": _IMAGES / 255}, r"images: expected uint8 \[n, h, w, c\], got float64"),
        ({"labels": _LABELS[:-1]}, "labels: expected 40 of them"),
        ({"labels": _LABELS + 1}, r"labels: expected classes in 0\.\.3, got 1 to 4"),
        ({"partners": (("a cat",),)}, "text: expected two classes or more"),
        ({"partners": (("a cat",), ())}, "text: expected two classes or more"),
    ],
)
def test_columns_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _source(**changes)


@dataclass(frozen=True)
class _Animals(CaptionMatch):
    captions = _CAPTIONS

    @staticmethod
    def builder():
        raise NotImplementedError

    def prepare(self):
        pass

    def columns(self, split):
        images = {"train": _IMAGES, "validation": _IMAGES + 100, "test": _IMAGES + 100}[split]
        return images, _LABELS


def _transform(data, kind):
    (found,) = (t for t in data.preprocessing().transforms.values() if isinstance(t, kind))
    return found


def test_the_statistics_are_those_of_the_training_split():
    image = _transform(_Animals(), ImageTransform)
    np.testing.assert_allclose(image.mean, (_IMAGES / 255).mean())
    np.testing.assert_allclose(image.std, (_IMAGES / 255).std())


def test_the_vocabulary_is_that_of_the_captions_and_has_its_bound():
    text = _transform(_Animals(max_words=7), TextTransform)
    words = {word for caption in _CLASS for word in caption.split()}
    assert set(text.vocabulary()) == {"<pad>", "<unk>"} | words
    assert text.max_words == 7
    assert _transform(_Animals(vocabulary_size=4), TextTransform).vocabulary_size == 4


def test_the_evaluation_pairs_of_two_splits_differ():
    first, second = (
        _read(_Animals().source(split), np.arange(80))[1] for split in ("validation", "test")
    )
    assert first != second


def test_an_unknown_split_is_refused_with_the_known():
    with pytest.raises(ValueError, match="split: got 'dev', choose from train, validation, test"):
        _Animals().source("dev")


def test_word_dropout_reaches_the_texts_of_a_batch():
    data = _Animals(word_dropout=1.0)
    preprocessing = data.preprocessing()
    inputs = preprocessing({"text": ["a cat"], "image": [None]})
    perturbed = data.perturb(inputs, preprocessing, np.random.default_rng(0))
    (number,) = {preprocessing.transforms["text"].unknown}
    assert (perturbed["text"].values[perturbed["text"].mask] == number).all()
    assert perturbed["image"] is inputs["image"]
    same = _Animals().perturb(inputs, preprocessing, np.random.default_rng(0))
    assert same["text"] is inputs["text"]


def test_captions_may_be_split_into_parts_of_words():
    for tokens in ("bpe", "wordpiece"):
        text = _transform(_Animals(tokens=tokens, vocabulary_size=300), TextTransform)
        expected = TextTransform.fit(_CLASS, vocabulary_size=300, max_words=10, tokens=tokens)
        assert text == expected


def test_an_existing_tokenizer_takes_the_place_of_a_vocabulary_of_the_captions(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    data = _Animals(tokenizer=str(tmp_path / "vocab.txt"), max_words=6, word_dropout=1.0)
    preprocessing = data.preprocessing()
    inputs = preprocessing({"text": ["cats", None]})
    assert inputs["text"].values.tolist() == [[2, 5, 6, 3, 0, 0], [0] * 6]
    assert inputs["text"].mask.sum(axis=1).tolist() == [4, 0]
    # Words become unknown, the marks at the ends stay.
    perturbed = data.perturb(inputs, preprocessing, np.random.default_rng(0))["text"]
    assert perturbed.values.tolist() == [[2, 1, 1, 3, 0, 0], [0] * 6]


def test_word_dropout_of_something_else_than_text_is_refused():
    image = ImageTransform((1, 1, 1), (0.0,), (1.0,))
    with pytest.raises(ValueError, match="text: expected a TextTransform, got ImageTransform"):
        _Animals(word_dropout=0.1).perturb(
            {}, Preprocessing({"text": image}), np.random.default_rng(0)
        )
