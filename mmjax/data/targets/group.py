"""Targets that say which examples belong together: captions of one picture, a person's records."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from mmjax.data.targets.target import Target
from mmjax.types import Masked


@final
@dataclass(frozen=True)
class Group(Target):
    """A name of any kind; two examples are of one group where their names are equal.

    Names become 62 bits of their SHA-256: nothing is fitted, and no split knows others' names. Of
    a million names two share their bits with a chance of about one in ten million.
    """

    def __call__(self, rows: Sequence | np.ndarray) -> Masked:
        """Values int32 `[b, 2]`, equal for equal names, and mask `[b]`; a row is a name or None."""
        mask = np.array([row is not None for row in rows], bool)
        known = {row: _bits(str(row)) for row in set(rows) if row is not None}
        values = [known.get(row, (0, 0)) for row in rows]
        return Masked(np.reshape(np.array(values, np.int32), (len(rows), 2)), mask)

    def read(self, text: str) -> str:
        """The name as it was written."""
        return text


def _bits(name: str) -> tuple[int, int]:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "big") >> 1 for i in (0, 4))  # type: ignore
