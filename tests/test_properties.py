"""Metrics, samplers and vocabularies on whatever hypothesis comes up with.

tests/layers/test_any_mask.py does it for masks, tests/config/test_round_trip.py for
configurations, tests/data/test_exactly_once.py for what devices and processes see.
"""

import itertools
import unicodedata

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tokenizers import decoders

from mmjax.data.datasets.match import MatchSource
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.tokenizer import parse
from mmjax.metrics import auroc, average_precision, binary_metrics, calibration_error
from mmjax.objectives.binary_cross_entropy import BinaryCrossEntropy
from mmjax.types import Batch, Masked, Outputs
from tests.data.pipeline.test_exactly_once import train_from
from tests.drawn import drawn
from tests.metrics.splits import splits


def equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


# Metrics


@drawn(40)
@given(splits(min_size=2), st.sampled_from([1, 2, 3]), st.integers(0, 2**32 - 1))
def test_metrics_of_several_labels_with_weights_are_those_of_scikit_learn(split, columns, seed):
    """Rows and columns of ties, and rows that do not count."""
    rows = len(split[0]) // columns
    assume(rows)
    logits, labels = (x[: rows * columns].reshape(rows, columns) for x in split[:2])
    weight = np.random.default_rng(seed).choice([0.0, 0.3, 1.0, 2.5], rows)
    weight[0] = 1.0
    found = binary_metrics(logits, labels, weight)
    flat, truth, each = logits.ravel(), labels.ravel(), np.repeat(weight, columns)
    options = {"sample_weight": each}
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(truth, flat > 0, **options),
        "f1": sklearn.metrics.f1_score(truth, flat > 0, zero_division=0.0, **options),
    }
    if len(set(truth[each > 0])) == 2:
        expected["auroc"] = sklearn.metrics.roc_auc_score(truth, flat, **options)
        expected["average_precision"] = sklearn.metrics.average_precision_score(
            truth, flat, **options
        )
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12, err_msg=name)


@drawn(40)
@given(splits(min_size=2), st.sampled_from([1, 4, 15]))
def test_calibration_with_any_weights_is_that_of_its_definition(split, bins):
    logits, labels, weight = split
    probability, gaps = scipy.special.expit(logits), []
    for k in range(bins):
        low, high = k / bins, (k + 1) / bins
        inside = (probability > low) & (probability <= high) | ((k == 0) & (probability == 0))
        gaps.append(abs(np.sum((weight * (labels - probability))[inside])))
    found = calibration_error(probability, labels * 1.0, weight, bins=bins)
    np.testing.assert_allclose(found, sum(gaps) / weight.sum(), atol=1e-12)


@drawn(40)
@given(splits(min_size=2))
def test_ranks_depend_on_the_order_of_the_scores_alone(split):
    scores, labels, weight = split
    _, place = np.unique(scores, return_inverse=True)
    for metric in (auroc, average_precision):
        assert metric(scores, labels, weight) == metric(place.astype(float), labels, weight)
    np.testing.assert_allclose(
        auroc(-scores, labels, weight), 1 - auroc(scores, labels, weight), atol=1e-12
    )


LOGITS = st.floats(-100, 100, width=32, allow_subnormal=False)
_sums = jax.jit(
    lambda logits, labels, weight: BinaryCrossEntropy(output="y", target="t")(
        Outputs({"y": logits}),
        Batch({}, {"t": Masked(labels, weight >= 0)}, weight, jnp.arange(len(weight))),
    )
)


@drawn(25)
@given(arrays.arrays(np.float32, 8, elements=LOGITS), arrays.arrays(bool, 8), st.integers(0, 99))
def test_the_loss_is_scikit_learns_with_any_weights(logits, labels, seed):
    weight = np.random.default_rng(seed).uniform(0.1, 3, 8).astype(np.float32)
    found = _sums(logits, labels.astype(np.float32), weight)
    # scikit-learn clips probabilities; what it is given here needs no clipping.
    inside = np.clip(logits, -12, 12).astype(np.float64)
    clipped = _sums(inside.astype(np.float32), labels.astype(np.float32), weight)["loss"].mean()
    expected = sklearn.metrics.log_loss(
        labels, scipy.special.expit(inside), sample_weight=weight, labels=[False, True]
    )
    np.testing.assert_allclose(clipped, expected, rtol=1e-4, atol=1e-6)
    accuracy = sklearn.metrics.accuracy_score(labels, logits > 0, sample_weight=weight)
    np.testing.assert_allclose(found["accuracy"].mean(), accuracy, rtol=1e-5)


# Samplers


def ids(start, count, length, batch_size, seed):
    batches = train_from(start, length, batch_size, seed)
    found = [batch.ids for batch in itertools.islice(batches, count)]
    batches.close()
    return np.stack(found)


@drawn(8)
@given(st.integers(8, 40), st.integers(4, 9), st.integers(0, 2**32 - 2), st.integers(0, 30))
def test_a_batch_is_a_function_of_seed_and_step(length, batch_size, seed, start):
    whole = ids(0, start + 2, length, batch_size, seed)
    equal(whole[start:], ids(start, 2, length, batch_size, seed))
    epoch = -(-length // batch_size)
    assert np.any(
        ids(0, epoch, length, batch_size, seed + 1) != ids(0, epoch, length, batch_size, seed)
    )


@st.composite
def pairs(draw):
    """(classes of the images, number of rows of each class)."""
    counts = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    classes = draw(st.lists(st.integers(0, len(counts) - 1), min_size=1, max_size=12))
    return np.array(classes), counts


@drawn(30)
@given(pairs(), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_pairs_are_of_one_class_exactly_where_the_label_says_so(pair, seed, random):
    classes, counts = pair
    rows = [[(k, i) for i in range(count)] for k, count in enumerate(counts)]
    images = np.arange(len(classes), dtype=np.uint8).reshape(-1, 1, 1, 1)
    source = MatchSource(images, classes, rows, modality="row", seed=seed)
    assert len(source) == 2 * len(classes)
    order = random.sample(range(len(source)), len(source))
    for rng in (None, np.random.default_rng(seed)):
        found = source.read(np.array(order), rng)
        image = found.inputs["image"][:, 0, 0, 0]
        np.testing.assert_array_equal(image, np.array(order) // 2)
        shown = np.array([row[0] for row in found.inputs["row"]])
        np.testing.assert_array_equal(found.targets["match"], shown == classes[image])
    fixed = source.read(np.array(order), None)
    np.testing.assert_array_equal(fixed.targets["match"], np.array(order) % 2 == 0)
    again = MatchSource(images, classes, rows, modality="row", seed=seed)
    assert [again.read(np.array([i]), None).inputs["row"][0] for i in order] == [
        *fixed.inputs["row"]
    ]


# Vocabularies

TEXTS = st.lists(st.text(max_size=20), min_size=1, max_size=4)
KINDS = ("words", "bpe", "wordpiece")


def fitted(kind, texts):
    return TextTransform.fit(texts, vocabulary_size=2000, max_words=200, tokens=kind)


def spelled(text):
    """As every tokenizer here reads it: in small letters, composed."""
    return unicodedata.normalize("NFC", text.lower())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_encoded_can_be_decoded_and_a_stored_vocabulary_is_the_same(kind, tmp_path):
    @drawn(25)
    @given(TEXTS)
    def round_trip(texts):
        transform = fitted(kind, texts)
        (tmp_path / "tokenizer.json").write_text(transform.tokenizer, encoding="utf-8")
        again = TextTransform.load(tmp_path / "tokenizer.json", max_words=200)
        assert again.vocabulary() == transform.vocabulary()
        found = transform(texts)
        equal(found, again(texts))
        words = transform.vocabulary()
        for text, values, mask in zip(texts, found.values, found.mask, strict=True):
            shown = values[mask]
            assert transform.unknown not in shown
            if kind == "bpe":
                tokenizer = parse(transform.tokenizer)
                tokenizer.decoder = decoders.ByteLevel()
                assert _letters(tokenizer.decode(shown.tolist())) == _letters(spelled(text))
            else:
                read = "".join(words[i].removeprefix("##") for i in shown)
                assert _letters(read) == _letters(spelled(text))

    round_trip()


def _letters(text):
    """Without what only separates words."""
    return "".join(text.split())


@pytest.mark.parametrize("kind", KINDS)
def test_a_letter_that_training_never_saw_is_unknown_but_as_bytes(kind):
    @drawn(10)
    @given(st.lists(st.text("abcdef ", min_size=1), min_size=1, max_size=3))
    def unknown(texts):
        transform = fitted(kind, texts)
        (values,), (mask,) = (x[:, :] for x in jax.tree.leaves(transform(["xyz"]))[:2])
        expected = 0 if kind == "bpe" else 1
        assert np.sum(values[mask] == 1) == expected  # <unk>, word 1

    unknown()
