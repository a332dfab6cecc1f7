"""Length buckets: a batch is not longer than its longest text, sound or series needs.

The compiler makes one program for each length, so there are few: the whole length, a half, a
quarter ... All modalities of a batch are in the same bucket, so there is one program per bucket.
"""

from collections.abc import Mapping

import numpy as np

from mmjax.data.preprocessing import Preprocessing
from mmjax.errors import UserError
from mmjax.types import Masked


def lengths(full: int, count: int) -> tuple[int, ...]:
    """The length of each bucket, longest first: full, full / 2, full / 4 ..., rounded up."""
    return tuple(-(-full // 2**halvings) for halvings in range(count))


def shortest(inputs: Mapping[str, Masked], preprocessing: Preprocessing, count: int) -> int:
    """The index of the shortest of `count` buckets, longest first, that cuts no value off.

    Raises:
        UserError: `count` is below 1.
    """
    if count < 1:
        raise UserError(f"buckets: expected at least 1, got {count}")
    padded = _padded(inputs, preprocessing, count)
    needed = {}
    for name in padded:
        used = np.flatnonzero(np.any(np.asarray(inputs[name].mask), axis=0))
        needed[name] = int(used[-1]) + 1 if len(used) else 0
    bucket = 0
    while bucket + 1 < count and all(padded[k][bucket + 1] >= needed[k] for k in padded):
        bucket += 1
    return bucket if padded else 0


def cut(
    inputs: Mapping[str, Masked], preprocessing: Preprocessing, count: int, bucket: int
) -> dict[str, Masked]:
    """The inputs cut to one of `count` buckets."""
    short = dict(inputs)
    padded = _padded(inputs, preprocessing, count) if bucket else {}
    for name, sizes in padded.items():
        # Copies: a view would keep the whole array in memory, and not all devices take one.
        values, mask = (
            np.ascontiguousarray(np.asarray(array)[:, : sizes[bucket]])
            for array in (inputs[name].values, inputs[name].mask)
        )
        short[name] = Masked(values, mask)
    return short


def _padded(
    inputs: Mapping[str, Masked], preprocessing: Preprocessing, count: int
) -> dict[str, tuple[int, ...]]:
    return {
        name: lengths(np.shape(inputs[name].mask)[1], count)
        for name, transform in preprocessing.transforms.items()
        if transform.padded
    }
