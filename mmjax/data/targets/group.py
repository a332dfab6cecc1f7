"""Targets that say which examples belong together: captions of one image, a person's records."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.targets.target import Target, present
from mmjax.types import Masked


@final
@dataclass(frozen=True)
class Group(Target):
    """The name of a group. Examples with equal names belong together.

    A name becomes 62 bits of its SHA-256, so nothing is fitted. The chance that two of a million
    names share their bits is about one in ten million.
    """

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values int32 `[b, 2]`, equal for equal names, and mask `[b]`; a row is a name or None."""
        known = {row: _bits(str(row)) for row in set(rows) if row is not None}
        values = [known.get(row, (0, 0)) for row in rows]
        return Masked(np.reshape(np.array(values, np.int32), (len(rows), 2)), present(rows))

    @staticmethod
    def read(text: str) -> str:
        """The text itself."""
        return text


def _bits(name: str) -> tuple[int, int]:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "big") >> 1 for i in (0, 4))  # type: ignore
