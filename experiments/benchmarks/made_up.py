"""What both sides are given: images of noise, texts without padding, random labels."""

from typing import NamedTuple

import numpy as np

BATCH, SIDE, CHANNELS, WORDS, VOCABULARY = 128, 28, 3, 10, 10_000  # of the tutorial
PAIR_SIDE, PAIR_WORDS, PAIR_VOCABULARY = 64, 32, 30_522  # of ResNet-18 with BERT-mini
LR = 1e-3


class Pairs(NamedTuple):
    """A batch."""

    image: np.ndarray  # [batch, height, width, channel]
    words: np.ndarray  # [batch, word]
    labels: np.ndarray  # [batch]


def pairs(
    size: int = BATCH,
    *,
    side: int = SIDE,
    words: int = WORDS,
    vocabulary: int = VOCABULARY,
    seed: int = 0,
) -> Pairs:
    """As the tutorial's, unless said otherwise."""
    random = np.random.default_rng(seed)
    return Pairs(
        random.standard_normal((size, side, side, CHANNELS)).astype(np.float32),
        random.integers(0, vocabulary, (size, words)).astype(np.int32),
        random.integers(0, 2, size),
    )


def larger(size: int) -> Pairs:
    """For ResNet-18 with BERT-mini."""
    return pairs(size, side=PAIR_SIDE, words=PAIR_WORDS, vocabulary=PAIR_VOCABULARY, seed=size)
