"""Metrics of generated texts, such as captions and answers, against reference texts.

Every function takes one hypothesis and a list of references per example. All values are NaN for
a corpus without examples. A text without words is allowed and matches nothing, except that
`exact_match` counts two such texts as equal. The order of the examples changes no bit of a value.

All functions raise a ValueError where the numbers of hypotheses and of lists of references
differ, or where an example's references are not a list of at least one text.
"""

import functools
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Num

from mmjax.metrics.cider import cider_d_of_counts

WORD = re.compile(r"\w+|[^\w\s]")  # a run of letters, digits and _, or one other character
ORDER = 4  # longest n-gram of BLEU and CIDEr-D, in words
CHRF_ORDER = 6  # longest n-gram of chrF, in characters
CHRF_BETA = 2  # recall weighs beta^2 times as much as precision

References = Sequence[Sequence[str]]  # at least one text per example
Tokens = tuple[str, ...] | str  # words, or a string as the sequence of its characters
Counts = Counter[Tokens]


def words(text: str) -> tuple[str, ...]:
    r"""Lower-case words and punctuation marks of `text`: the matches of `\w+|[^\w\s]`.

    "Don't stop." has the five words don ' t stop and the full stop. A combining mark is a word of
    its own: normalise texts that hold them first (`unicodedata.normalize("NFC", text)`).
    """
    return tuple(WORD.findall(text.lower()))


def text_metrics(hypotheses: Sequence[str], references: References) -> dict[str, float]:
    """Every metric of this module, by the name of its function.

    Returns:
        bleu_1 to bleu_4 (`bleu` of that order), rouge_l, chrf, cider_d, exact_match, and, only if
        every example has one reference, word_error_rate.
    """
    bleus = _bleu_of_orders(hypotheses, references, ORDER)
    metrics = {f"bleu_{order}": value for order, value in enumerate(bleus, 1)} | {
        "rouge_l": rouge_l(hypotheses, references),
        "chrf": chrf(hypotheses, references),
        "cider_d": cider_d(hypotheses, references),
        "exact_match": exact_match(hypotheses, references),
    }
    if all(len(texts) == 1 for texts in references):
        metrics["word_error_rate"] = word_error_rate(hypotheses, references)
    return metrics


def bleu(hypotheses: Sequence[str], references: References, order: int = ORDER) -> float:
    """BLEU of the corpus, Papineni et al. 2002, https://aclanthology.org/P02-1040, in 0..1.

        BLEU = min(1, exp(1 - r / c)) (p_1 ... p_order)^(1 / order)

    p_n is the share of the hypotheses' n-grams that occur in a reference too, counted at most as
    often as in the reference with the most of them; c is the number of words of all hypotheses
    and r that of the references closest in length (of two, the shorter).

    Without smoothing: 0 where one p_n is 0. Scores depend on how texts are split into words (here
    `words`); compare only scores with the same rule.
    """
    if order < 1:
        raise ValueError(f"bleu: expected an order of at least 1, got {order}")
    return _bleu_of_orders(hypotheses, references, order)[-1]


def rouge_l(hypotheses: Sequence[str], references: References) -> float:
    """Mean ROUGE-L, Lin 2004, https://aclanthology.org/W04-1013, in 0..1.

    An example's value is the highest F1 = 2 LCS / (words of hypothesis + words of reference) over
    its references; LCS is the length of the longest common subsequence of words. No stemming.
    """
    examples = _examples(hypotheses, references)
    best = [max(_lcs_f1(hypothesis, text) for text in texts) for hypothesis, texts in examples]
    return _quotient(math.fsum(best), len(best))


def chrf(hypotheses: Sequence[str], references: References) -> float:
    """chrF of the corpus, Popovic 2015, https://aclanthology.org/W15-3049, in 0..1.

        chrF = (1 + beta^2) P R / (beta^2 P + R), beta = 2

    P and R are precision and recall of character n-grams, averaged over n = 1..6. White space is
    removed; case and punctuation count. Counts are summed over the corpus, taking from each
    example those of the reference with the highest chrF.

    As sacrebleu's `CHRF(word_order=0)`, divided by 100: a hypothesis's n-grams count only where
    its reference is long enough to have some of that order.
    """
    examples = _examples(hypotheses, references, lambda text: "".join(text.split()))
    total = np.zeros((CHRF_ORDER, 3))
    for hypothesis, texts in examples:
        counts = _ngrams(hypothesis, CHRF_ORDER)
        by_text = [_chrf_counts(counts, _ngrams(text, CHRF_ORDER)) for text in texts]
        total += max(by_text, key=_f_beta)
    return _f_beta(total) if examples else float("nan")


def cider_d(hypotheses: Sequence[str], references: References) -> float:
    """CIDEr-D of the corpus, Vedantam et al. 2015, arXiv:1411.5726, in 0..10.

    `cider_d_of_counts` for n-grams of 1 to 4 words. As the authors' script, but split by `words`
    and not stemmed.

    The references of the evaluated corpus set the weights of n-grams: scores of different corpora
    do not compare, and a corpus of one example scores 0. A text with fewer than 4 words cannot
    reach 10.
    """
    examples = _examples(hypotheses, references)
    counts = [(_ngrams(own, ORDER), [_ngrams(t, ORDER) for t in texts]) for own, texts in examples]
    return cider_d_of_counts(counts)


def word_error_rate(hypotheses: Sequence[str], references: References) -> float:
    """Word edits that turn the hypotheses into the references, over the references' words.

    Edits are insertions, deletions and substitutions. At least 0, above 1 where the edits
    outnumber the words of the references; NaN where no reference has a word.

    Raises:
        ValueError: also where an example has more than one reference.
    """
    examples = _examples(hypotheses, references)
    if (most := max((len(texts) for _, texts in examples), default=1)) > 1:
        raise ValueError(f"word_error_rate: expected one reference per example, got {most}")
    edits = sum(_edits(hypothesis, texts[0]) for hypothesis, texts in examples)
    return _quotient(edits, sum(len(texts[0]) for _, texts in examples))


def exact_match(hypotheses: Sequence[str], references: References) -> float:
    """Share of examples whose hypothesis has the `words` of one of its references, 0..1."""
    examples = _examples(hypotheses, references)
    return _quotient(sum(hypothesis in texts for hypothesis, texts in examples), len(examples))


def _examples(
    hypotheses: Sequence[str], references: References, split: Callable[[str], Tokens] = words
) -> list[tuple[Tokens, list[Tokens]]]:
    if len(hypotheses) != len(references):
        raise ValueError(
            f"got {len(references)} lists of references for {len(hypotheses)} hypotheses"
        )
    for row, texts in enumerate(references):
        if isinstance(texts, str) or not len(texts):
            raise ValueError(f"references[{row}]: expected a list of texts, got {texts!r}")
    return [
        (split(hypothesis), [split(text) for text in texts])
        for hypothesis, texts in zip(hypotheses, references, strict=True)
    ]


def _ngrams(tokens: Tokens, order: int) -> list[Counts]:
    """Counts of the n-grams of each order 1..order."""
    return [
        Counter([tokens[i : i + n] for i in range(len(tokens) - n + 1)])
        for n in range(1, order + 1)
    ]


def _overlap(counts: Counts, limits: Counts) -> int:
    return sum(min(count, limits[gram]) for gram, count in counts.items() if gram in limits)


def _bleu_of_orders(hypotheses: Sequence[str], references: References, order: int) -> list[float]:
    """BLEU of each order 1..order."""
    matches, totals, length, closest = np.zeros(order), np.zeros(order), 0, 0
    for hypothesis, texts in _examples(hypotheses, references):
        counts = _ngrams(hypothesis, order)
        by_order = zip(*(_ngrams(text, order) for text in texts), strict=True)
        limits = [functools.reduce(operator.or_, of_texts) for of_texts in by_order]
        matches += list(map(_overlap, counts, limits))
        totals += [c.total() for c in counts]
        length += len(hypothesis)
        closest += min((abs(len(text) - len(hypothesis)), len(text)) for text in texts)[1]
    if not hypotheses:
        return [float("nan")] * order
    log_penalty = min(0.0, 1 - closest / max(length, 1))
    return [
        math.exp(log_penalty + np.mean(np.log(matches[:n] / totals[:n])))
        if matches[:n].all()
        else 0.0
        for n in range(1, order + 1)
    ]


def _chrf_counts(hypothesis: list[Counts], reference: list[Counts]) -> Num[np.ndarray, "order 3"]:
    """By order: n-grams of the hypothesis, of the reference, and matches."""
    pairs = zip(hypothesis, reference, strict=True)
    return np.array([(h.total() if r else 0, r.total(), _overlap(h, r)) for h, r in pairs])


def _f_beta(counts: Num[np.ndarray, "order 3"]) -> float:
    hypothesis, reference, matches = counts[(counts[:, :2] > 0).all(axis=1)].T
    if not matches.any():
        return 0.0
    precision, recall = np.mean(matches / hypothesis), np.mean(matches / reference)
    beta = CHRF_BETA**2
    return float((1 + beta) * precision * recall / (beta * precision + recall))


def _lcs_f1(left: Tokens, right: Tokens) -> float:
    size = len(left) + len(right)
    common = (size - _edits(left, right, substitution=2)) / 2
    return 2 * common / size if size else 0.0


def _edits(left: Tokens, right: Tokens, substitution: int = 1) -> int:
    """Lowest cost of editing `left` into `right`; insertions and deletions cost 1."""
    row = list(range(len(right) + 1))
    for word in left:
        above, row = row, [row[0] + 1]
        for other, diagonal, up in zip(right, above, above[1:], strict=False):
            edited = min(diagonal + substitution, up + 1, row[-1] + 1)
            row.append(diagonal if word == other else edited)
    return row[-1]


def _quotient(part: float | int, whole: int) -> float:
    return part / whole if whole else float("nan")
