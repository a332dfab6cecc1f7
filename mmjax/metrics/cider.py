"""CIDEr-D of counted n-grams, Vedantam et al. 2015, arXiv:1411.5726."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

SIGMA = 6  # standard deviation of the length penalty, in words

NGrams = Sequence[Counter[Any]]  # counts of the n-grams of order 1, 2, ...
Vector = Mapping[Any, float]  # TF-IDF weights of the n-grams of one order


def cider_d_of_counts(examples: Sequence[tuple[NGrams, Sequence[NGrams]]]) -> float:
    """Mean over examples, each a hypothesis and its references, of at least one order.

        CIDEr-D = 10 mean_n mean_ref exp(-(c - r)^2 / (2 SIGMA^2)) min(h, v) v / (|h| |v|)

    h and v are the TF-IDF vectors of hypothesis and reference over n-grams of order n, c and r
    their numbers of words. An n-gram's weight is its count times log(examples / d), where d is the
    number of examples with a reference that holds it, or 1 if there is none. A quotient 0 / 0 is 0.

    In 0..10; NaN without examples.
    """
    if not examples:
        return float("nan")
    frequency = Counter(
        gram for _, texts in examples for gram in set().union(*(c for text in texts for c in text))
    )
    weight = {gram: math.log(len(examples) / count) for gram, count in frequency.items()}
    unseen = math.log(len(examples))

    def vectors(ngrams: NGrams) -> list[Vector]:
        return [{g: k * weight.get(g, unseen) for g, k in counts.items()} for counts in ngrams]

    scores = []
    for hypothesis, texts in examples:
        of_hypothesis = vectors(hypothesis)
        for text in texts:
            gap = hypothesis[0].total() - text[0].total()
            penalty = math.exp(-(gap**2) / (2 * SIGMA**2))
            cosines = map(_clipped_cosine, of_hypothesis, vectors(text))
            scores.append(penalty * sum(cosines) / (len(text) * len(texts)))
    return 10 * math.fsum(scores) / len(examples)


def _clipped_cosine(hypothesis: Vector, reference: Vector) -> float:
    """Repeating an n-gram more often than the reference does only lengthens |h|."""
    shared = hypothesis.keys() & reference.keys()
    product = math.fsum(min(hypothesis[g], reference[g]) * reference[g] for g in shared)
    norms = math.hypot(*hypothesis.values()) * math.hypot(*reference.values())
    return product / norms if norms else 0.0
