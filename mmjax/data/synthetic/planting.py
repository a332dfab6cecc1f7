"""Rendering of symbols as images, sentences and rows of sensor readings.

A symbol is two bits, `a + 2 b`, shown at two places of a modality, or `MISSING`.
"""

import itertools
import zlib
from collections.abc import Sequence
from typing import NamedTuple, Union

import numpy as np
from jaxtyping import Float, Int, UInt8

from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.transform import Transform

MISSING = 4

# Both have `random` and `standard_normal`; only RandomState's numbers never change.
Draws = Union[np.random.Generator, np.random.RandomState]


class Series(NamedTuple):
    """Rows of numbers: the largest number of tokens, and their features."""

    tokens: int
    features: int
    timed: bool  # features beside the two bits: the time of the token, else noise


SERIES = {
    "table": Series(1, 6, False),
    "radar": Series(8, 4, False),  # points: x, y, velocity, intensity
    "lidar": Series(16, 3, False),  # points: x, y, z
    "speech": Series(10, 6, True),
    "vision": Series(6, 8, True),
    "camera": Series(6, 8, True),
    "touch": Series(12, 6, True),
    "imu": Series(10, 6, True),
}

# WORDS[place][bit]: words for a bit.
WORDS = (
    (("cold", "cool", "icy"), ("hot", "warm", "burning")),
    (("surely", "clearly", "certainly"), ("maybe", "perhaps", "possibly")),
)
FILLERS = ("the", "cup", "on", "table", "is", "here", "we", "found", "it", "today")
MIN_WORDS, MAX_WORDS = 5, 9

# Delay between the mark in the first modality and the answer in the second, of the whole length.
SHIFT = (5, 12)

_STRIPES = np.broadcast_to(np.arange(8)[:, None] % 4 < 2, (8, 4))
# PATTERNS[bit]: horizontal or vertical stripes, -1 or 1, on one half of an image.
PATTERNS = 2.0 * np.stack([_STRIPES, np.broadcast_to(np.arange(4) % 4 < 2, (8, 4))]) - 1
_GREY, _CONTRAST = 128, 64  # of 255; the unit of the noise


def frozen(seed: int, split: str) -> np.random.RandomState:
    """The generator of a split, whose numbers no version of NumPy changes."""
    return np.random.RandomState([seed, zlib.crc32(split.encode())])


def two_bits(symbols: Int[np.ndarray, "batch"]) -> Int[np.ndarray, "batch 2"]:
    """(a, b) of each symbol."""
    return np.stack([symbols % 2, symbols // 2 % 2], axis=-1)


def images(
    bits: Int[np.ndarray, "batch 2"], noise: float, draws: Draws
) -> UInt8[np.ndarray, "batch 8 8 1"]:
    """Images whose left half shows a and whose right half shows b."""
    clean = np.concatenate([PATTERNS[bits[:, 0]], PATTERNS[bits[:, 1]]], axis=2)
    levels = _GREY + _CONTRAST * (clean + noise * draws.standard_normal(clean.shape))
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)[:, :, :, None]


def sentences(bits: Int[np.ndarray, "batch 2"], draws: Draws) -> list[str]:
    """Sentences with a word for a and a word for b among 3 to 7 fillers."""
    n = len(bits)
    length = _uniform(MIN_WORDS, MAX_WORDS, n, draws)
    words = np.array(FILLERS, object)[_uniform(0, len(FILLERS) - 1, (n, MAX_WORDS), draws)]
    first = _uniform(0, length - 1, n, draws)
    second = (first + _uniform(1, length - 1, n, draws)) % length
    for place, position in enumerate((first, second)):
        wordings = np.array(WORDS[place], object)[bits[:, place]]
        words[np.arange(n), position] = wordings[np.arange(n), _uniform(0, 2, n, draws)]
    return [" ".join(row[:count]) for row, count in zip(words, length, strict=True)]


def stamps(tokens: int, count: int) -> Float[np.ndarray, "token {count}"]:
    """cos 2 pi k t, sin 2 pi k t for k = 1, 2, ... at times t in 0..1; `count` features."""
    phase = 2 * np.pi * np.outer(np.arange(tokens) / tokens, np.arange(count) // 2 + 1)
    return np.where(np.arange(count) % 2 == 0, np.cos(phase), np.sin(phase))


def series(
    bits: Int[np.ndarray, "batch token 2"], look: Series, noise: float, draws: Draws
) -> Float[np.ndarray, "batch token {look.features}"]:
    """Tokens whose features 0 and 1 are -1 or 1 for the two bits, with noise."""
    n, tokens, _ = bits.shape
    shown = 2 * bits - 1 + noise * draws.standard_normal(bits.shape)
    rest = (n, tokens, look.features - 2)
    if look.timed:
        other = np.broadcast_to(stamps(tokens, look.features - 2), rest)
    else:
        other = draws.standard_normal(rest)
    return np.concatenate([shown, other], axis=2).astype(np.float32)


def render(
    name: str, symbols: Int[np.ndarray, "batch"], noise: float, draws: Draws
) -> np.ndarray | list:
    """Rows of one modality, None where it is missing. A series has half to all of its tokens."""
    bits = two_bits(symbols)
    if name == "image":
        rows = images(bits, noise, draws)
    elif name == "text":
        rows = sentences(bits, draws)
    else:
        look = SERIES[name]
        values = series(np.repeat(bits[:, None], look.tokens, axis=1), look, noise, draws)
        counts = _uniform((look.tokens + 1) // 2, look.tokens, len(bits), draws)
        rows = [row[:count] for row, count in zip(values, counts, strict=True)]
    gone = symbols == MISSING
    if not gone.any():
        return rows
    return [None if absent else row for row, absent in zip(rows, gone, strict=True)]


def shifted(first: int, second: int) -> Int[np.ndarray, "token"]:
    """For each token of the first modality, the token of the second one that answers it."""
    early, whole = SHIFT
    return (whole * np.arange(first) + early * first) * second // (whole * first) % second


def half(tokens: int) -> Int[np.ndarray, "pattern token"]:
    """Every pattern in which half of the tokens are 1."""
    chosen = itertools.combinations(range(tokens), tokens // 2)
    return np.array([[int(token in ones) for token in range(tokens)] for ones in chosen])


def moments(
    names: Sequence[str], shown: Int[np.ndarray, "batch modality"], noise: float, draws: Draws
) -> dict[str, list]:
    """The rows of "misaligned", at full length; all other bits are random."""
    n, tokens = len(shown), SERIES[names[0]].tokens
    asked = shifted(tokens, SERIES[names[1]].tokens)
    rows = {}
    for position, name in enumerate(names):
        look = SERIES[name]._replace(timed=True)
        bits = (draws.random((n, look.tokens, 2)) < 0.5).astype(np.int64)
        if position == 0:
            bits[:, :, 0] = np.arange(tokens) == shown[:, :1]
        if position == 1:
            rest = np.setdiff1d(np.arange(look.tokens), asked)
            order = np.argsort(draws.random((n, len(rest))), axis=1)
            bits[:, rest, 0] = order < len(rest) // 2
            bits[:, asked, 0] = half(tokens)[shown[:, 1]]
        rows[name] = list(series(bits, look, noise, draws))
    return rows


def fitted(name: str, rows: Sequence | np.ndarray) -> Transform:
    """Fit the transform of a modality to rows without None; texts get every word."""
    if name == "image":
        return ImageTransform.fit(np.asarray(rows))
    if name == "text":
        words = [*FILLERS, *itertools.chain.from_iterable(itertools.chain.from_iterable(WORDS))]
        return TextTransform.fit(words, vocabulary_size=len(words) + 2, max_words=MAX_WORDS)
    return FeatureTransform.fit(rows, max_tokens=SERIES[name].tokens)


def _uniform(
    low: int, high: int | np.ndarray, size: int | tuple[int, ...], draws: Draws
) -> np.ndarray:
    """Integers low .. high, both included."""
    return low + (draws.random(size) * (high - low + 1)).astype(np.int64)
