import math

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from mmjax.metrics.text import (
    bleu,
    chrf,
    cider_d,
    exact_match,
    rouge_l,
    text_metrics,
    word_error_rate,
    words,
)

_SEEDS = range(8)
_METRICS = (bleu, rouge_l, chrf, cider_d, word_error_rate, exact_match)


def _corpus(seed, vocabulary="a b c dd", references=3):
    """Hypotheses of up to 12 words, some empty, and 1 to `references` references of 1 to 12."""
    rng = np.random.default_rng(seed)

    def text(shortest):
        return " ".join(rng.choice(vocabulary.split(), rng.integers(shortest, 13)))

    hypotheses = ["", *(text(0) for _ in range(60))]
    return hypotheses, [[text(1) for _ in range(rng.integers(references) + 1)] for _ in hypotheses]


def _streams(references):
    """sacrebleu's layout: the first reference of every example, the second, ..."""
    most = max(len(texts) for texts in references)
    return [[texts[i] if i < len(texts) else None for texts in references] for i in range(most)]


def test_words_are_lower_case_and_split_from_punctuation():
    assert words(" Don't\tSTOP, Zoë! ") == ("don", "'", "t", "stop", ",", "zoë", "!")
    assert words("Ärger 日本 x_1") == ("ärger", "日本", "x_1")
    assert words(" \n") == ()


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_is_that_of_sacrebleu(seed, references, order):
    corpus = _corpus(seed, references=references)
    oracle = BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, force=True)
    expected = oracle.corpus_score(corpus[0], _streams(corpus[1])).score / 100
    assert expected > 0
    assert bleu(*corpus, order=order) == pytest.approx(expected, abs=1e-6)


def test_bleu_penalises_only_a_corpus_that_is_too_short():
    # 3 of 4 words, all right: exp(1 - 4 / 3).
    assert bleu(["a b c"], [["a b c d"]], order=1) == pytest.approx(math.exp(-1 / 3))
    assert bleu(["a b c d"], [["a b c"]], order=1) == pytest.approx(3 / 4)
    # References of 3 and 5 words are equally close: the shorter one counts.
    assert bleu(["a b c d"], [["a b c", "a b c d e"]], order=1) == 1


def test_bleu_is_zero_where_an_order_has_no_match():
    assert bleu(["a b c x d"], [["a b c d"]], order=3) > 0
    assert bleu(["a b c x d"], [["a b c d"]], order=4) == 0


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize("vocabulary", ["a b c dd", "Cat cat, the dogs sat. mat 日本語"])
def test_chrf_is_that_of_sacrebleu(seed, references, vocabulary):
    corpus = _corpus(seed, vocabulary, references)
    expected = CHRF().corpus_score(corpus[0], _streams(corpus[1])).score / 100
    assert 0 < expected < 1
    assert chrf(*corpus) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("references", [1, 3])
def test_rouge_l_is_that_of_rouge_score(seed, references):
    corpus = _corpus(seed, references=references)
    scorer = RougeScorer(["rougeL"])
    expected = [scorer.score_multi(*pair)["rougeL"] for pair in zip(*corpus[::-1], strict=True)]
    expected = np.mean([score.fmeasure for score in expected])
    assert rouge_l(*corpus) == pytest.approx(expected, abs=1e-6)


def test_cider_d_of_equal_captions_is_10_and_of_disjoint_ones_0():
    captions = ["a man rides a horse", "two dogs on green grass"]
    assert cider_d(captions, [[text] for text in captions]) == pytest.approx(10)
    assert cider_d(captions[::-1], [[text] for text in captions]) == 0


def test_cider_d_is_the_mean_share_of_ngrams():
    # Two examples with no n-gram in common: every n-gram weighs log 2, which cancels.
    # The first has 3 of 4 words, 2 of 3 pairs, 1 of 2 triples and 0 of 1 quadruple, in hypothesis
    # and reference: (3/4 + 2/3 + 1/2 + 0) / 4 = 23/48. The second has 0. Mean: 23/96.
    hypotheses, references = ["a b c x", "f"], [["a b c d"], ["g h i j"]]
    assert cider_d(hypotheses, references) == pytest.approx(10 * 23 / 96)
    # A second reference of the first that shares nothing with it halves its score.
    references[0].append("k l m n")
    assert cider_d(hypotheses, references) == pytest.approx(10 * 23 / 192)


def test_cider_d_weighs_rare_words_clips_repeated_ones_and_penalises_the_length():
    # "the" is in both examples and weighs log(2 / 2) = 0; all others weigh L = log 2.
    # First example, h = "cat cat cat", v = "the cat":
    #   words: h = (0, 3 L), v = (0, L): min(3 L, L) L / (3 L L) = 1/3; pairs and longer: 0
    #   one word too long: exp(-1^2 / (2 6^2)) = exp(-1/72)
    #   10 (1/3 + 0 + 0 + 0) / 4 exp(-1/72) = 5/6 exp(-1/72)
    # Second example: 1 for words, 1 for pairs, 0 for the absent longer ones: 10 2/4 = 5.
    found = cider_d(["cat cat cat", "the dog"], [["the cat"], ["the dog"]])
    assert found == pytest.approx((5 / 6 * math.exp(-1 / 72) + 5) / 2)


def test_cider_d_counts_an_example_once_however_many_references_hold_the_ngram():
    # "a" and "b" are in one of two examples: both weigh log 2. If references were counted, "a"
    # would weigh log(2 / 2) = 0 and the cosine of the words would be 1.
    # h = (a, x), v = (a, b), twice: 1 / (sqrt 2 sqrt 2) = 1/2; pairs: 0. 10 (1/2) / 4 = 5/4.
    found = cider_d(["a x", "c"], [["a b", "a b"], ["d"]])
    assert found == pytest.approx(5 / 4 / 2)


@pytest.mark.parametrize(
    ("hypothesis", "reference", "edits", "length"),
    [
        ("the cat sat", "the cat sat", 0, 3),
        ("the cat sat", "the dog sat", 1, 3),  # a substitution
        ("the cat", "the cat sat", 1, 3),  # an insertion
        ("the the cat sat", "the cat sat", 1, 3),  # a deletion
        ("b c d", "a b c", 2, 3),  # an insertion and a deletion, not three substitutions
        ("a b", "b a", 2, 2),
        ("", "the cat sat", 3, 3),
        ("a b c d", "e", 4, 1),
        ("A cat!", "a cat", 1, 2),  # punctuation is a word, case is ignored
    ],
)
def test_word_error_rate_is_edits_over_words_of_the_references(
    hypothesis, reference, edits, length
):
    assert word_error_rate([hypothesis], [[reference]]) == edits / length
    # Words are counted over the corpus: 5 more of them, all right.
    found = word_error_rate([hypothesis, "v w x y z"], [[reference], ["v w x y z"]])
    assert found == edits / (length + 5)


def test_exact_match_is_the_share_that_equals_a_reference():
    hypotheses = ["A cat.", "two dogs", "", "birds"]
    references = [["dog", "a  cat ."], ["two dogs!"], [" "], ["birds"]]
    assert exact_match(hypotheses, references) == 3 / 4


@pytest.mark.parametrize("references", [1, 3])
def test_text_metrics_are_the_functions_of_these_names(references):
    corpus = _corpus(0, references=references)
    expected = {f"bleu_{order}": bleu(*corpus, order=order) for order in (1, 2, 3, 4)}
    for metric in (rouge_l, chrf, cider_d, exact_match):
        expected[metric.__name__] = metric(*corpus)
    if references == 1:
        expected["word_error_rate"] = word_error_rate(*corpus)
    assert text_metrics(*corpus) == expected


def test_the_order_of_the_examples_changes_no_bit():
    hypotheses, references = _corpus(1, references=1)
    shuffled = np.random.default_rng(0).permutation(len(hypotheses))
    moved = [[column[i] for i in shuffled] for column in (hypotheses, references)]
    assert text_metrics(*moved) == text_metrics(hypotheses, references)


@pytest.mark.parametrize("metric", _METRICS)
def test_a_corpus_without_examples_has_no_value(metric):
    assert math.isnan(metric([], []))


@pytest.mark.parametrize("empty", ["", " \n"])
def test_texts_without_words_match_nothing_but_each_other(empty):
    zero = dict.fromkeys(text_metrics([], []), 0.0)
    assert text_metrics([empty], [["a cat"]]) == zero | {"word_error_rate": 1}
    no_words = pytest.approx({**zero, "word_error_rate": float("nan")}, nan_ok=True)
    assert text_metrics(["a cat"], [[empty]]) == no_words
    both = text_metrics([empty], [[empty]])
    assert both.pop("exact_match") == 1
    assert math.isnan(both.pop("word_error_rate")) and not any(both.values())
    # One reference with words is enough.
    assert rouge_l(["a cat"], [[empty, "a cat"]]) == chrf(["a cat"], [[empty, "a cat"]]) == 1


@pytest.mark.parametrize("metric", _METRICS)
def test_references_that_do_not_fit_are_refused(metric):
    with pytest.raises(ValueError, match="2 lists of references for 1 hypotheses"):
        metric(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match=r"references\[1\]: expected a list of texts, got \[\]"):
        metric(["a", "b"], [["a"], []])
    with pytest.raises(ValueError, match=r"references\[0\]: expected a list of texts, got 'a'"):
        metric(["a", "b"], ["a", "b"])


def test_order_0_and_several_references_for_the_word_error_rate_are_refused():
    with pytest.raises(ValueError, match="order of at least 1, got 0"):
        bleu(["a"], [["a"]], order=0)
    with pytest.raises(ValueError, match="one reference per example, got 2"):
        word_error_rate(["a"], [["a", "b"]])
