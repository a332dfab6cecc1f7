"""Length buckets: a batch is no longer than its longest text, sound or series makes it.

Every length is a program of its own to the compiler. So there are a few: all of it, a half of it, a
quarter ..., and all modalities of a batch are cut alike: as many programs as there are buckets.
"""

from collections.abc import Mapping

import numpy as np

from mmjax.data.preprocessing import Preprocessing
from mmjax.errors import UserError
from mmjax.types import Masked


def lengths(full: int, count: int) -> tuple[int, ...]:
    """Of each bucket, longest first: full, full / 2, full / 4 ..., rounded up; 1 may recur."""
    return tuple(-(-full // 2**halvings) for halvings in range(count))


def expected(preprocessing: Preprocessing, count: int) -> dict[str, tuple[int, ...]]:
    """{modality: the lengths in which it may come}, of those that are padded."""
    found = {}
    for name, transform in preprocessing.transforms.items():
        if transform.padded:
            found[name] = lengths(np.shape(transform([None]).mask)[1], count)
    return found


def shortest(inputs: Mapping[str, Masked], preprocessing: Preprocessing, count: int) -> int:
    """Which of `count` buckets, longest first, is the shortest that loses nothing.

    Raises:
        UserError: `count` is below 1.
    """
    if count < 1:
        raise UserError(f"buckets: expected at least 1, got {count}")
    padded = _padded(inputs, preprocessing, count)
    longest = {name: _longest(inputs[name]) for name in padded}
    bucket = 0
    while bucket + 1 < count and all(padded[k][bucket + 1] >= longest[k] for k in padded):
        bucket += 1
    return bucket if padded else 0


def cut(
    inputs: Mapping[str, Masked], preprocessing: Preprocessing, count: int, bucket: int
) -> dict[str, Masked]:
    """The inputs in one of `count` buckets. The longest: as they are."""
    padded = _padded(inputs, preprocessing, count) if bucket else {}
    return {
        name: _first(given, padded[name][bucket]) if name in padded else given
        for name, given in inputs.items()
    }


def _padded(
    inputs: Mapping[str, Masked], preprocessing: Preprocessing, count: int
) -> dict[str, tuple[int, ...]]:
    """The lengths of what is padded."""
    return {
        name: lengths(np.shape(inputs[name].mask)[1], count)
        for name, transform in preprocessing.transforms.items()
        if transform.padded
    }


def _longest(given: Masked) -> int:
    """How many positions there are up to the last one that holds something in any example."""
    places = np.flatnonzero(np.any(np.asarray(given.mask), axis=0))
    return int(places[-1]) + 1 if len(places) else 0


def _first(given: Masked, length: int) -> Masked:
    """Copies: a view would keep all in memory, and not every device takes one as it lies."""
    values, mask = np.asarray(given.values), np.asarray(given.mask)
    return Masked(np.ascontiguousarray(values[:, :length]), np.ascontiguousarray(mask[:, :length]))
