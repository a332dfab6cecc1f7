"""Which row of a table is of which split; rows that belong together stay together."""

import array
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmjax.data.dataset import SPLITS
from mmjax.data.tables.columns.column import Cell, absent
from mmjax.data.transforms.audio import Recording
from mmjax.errors import UserError

UNUSED = -1
_NAMES = {"training": 0, "val": 1, "valid": 1, "dev": 1, "testing": 2} | {
    name: number for number, name in enumerate(SPLITS)
}


@dataclass(frozen=True)
class Rule:
    """How rows are divided among training, validation and test.

    Without a column that says it, the split is drawn from a hash of what a row shares with others,
    so that added rows never move others.
    """

    split: str | None = None  # column that says it; None: drawn
    group: str | None = None  # column whose equal cells stay together; None: `files`
    files: tuple[str, ...] = ()  # columns of files: rows that share one stay together
    inputs: tuple[str, ...] = ()  # without any file, rows that are equal in these stay together
    shares: tuple[float, float] = (0.1, 0.1)  # of validation and test
    fold: tuple[int, int] | None = None  # (i, k): test is fold i of k, counted from 1

    def split_of(self, drawn: int) -> int:
        """The index in `SPLITS`, from 64 random bits."""
        share, validation, test = drawn / 2**64, *self.shares
        if self.fold is not None:
            number, count = self.fold
            if int(share * count) == number - 1:
                return 2
            # Bits that do not depend on the fold's.
            share = _hash(drawn) / 2**64
            return 1 if share < validation else 0
        return 1 if share < validation else 2 if share < validation + test else 0


def is_split(cell: Cell) -> bool:
    """Whether a cell is the name of a split."""
    return str(cell).strip().lower() in _NAMES


def split_number(cell: Cell) -> int:
    """The index in `SPLITS` of a cell such as train, val, dev or test; UserError for others."""
    number = _NAMES.get(str(cell).strip().lower())
    if number is None:
        raise UserError(f"split: got {cell!r:.60}, choose from {', '.join(SPLITS)}")
    return number


def parse_fold(text: str) -> tuple[int, int] | None:
    """(2, 5) of "2/5", None of ""; UserError for anything else."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    fold = (int(match[1]), int(match[2])) if match else None
    if text and (fold is None or not 1 <= fold[0] <= fold[1] or fold[1] < 2):
        raise UserError(f"--data.fold: expected a fold such as 2/5, got {text!r:.60}")
    return fold


class Splitting:
    """Assigns splits; holds a few numbers for each row, none of its cells."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._said = array.array("b")  # what the split's column says
        self._whole = array.array("Q")  # a hash of all cells
        self._group = array.array("Q")  # a hash of what stays together, where a column says it
        self._keys = [array.array("Q") for _ in rule.files or (0,)]  # of files, or of all inputs

    def add(self, cells: Mapping[str, Cell] | None) -> None:
        """Add the next row of the file; None: a row that is not used.

        Raises:
            UserError: the split's column holds no split.
        """
        rule = self._rule
        if cells is None:
            self._said.append(UNUSED)
            for keys in (self._whole, self._group, *self._keys):
                keys.append(0)
            return
        self._said.append(split_number(cells[rule.split]) if rule.split else 0)
        self._whole.append(_hash([cells[name] for name in sorted(cells)]))
        whole = self._whole[-1]
        files = [cells[name] for name in rule.files] or [[cells[name] for name in rule.inputs]]
        group = None if rule.group is None else cells[rule.group]
        for keys, cell in zip([self._group, *self._keys], [group, *files], strict=True):
            keys.append(whole if absent(cell) else _hash(cell))

    def result(self) -> "Splits":
        """The splits of all rows."""
        rule, split = self._rule, np.array(self._said)
        keys = [np.frombuffer(keys, np.uint64) for keys in self._keys]
        used = split != UNUSED
        if rule.split is None:
            together = _joined(keys) if rule.group is None else np.frombuffer(self._group, "u8")
            drawn = np.fromiter((rule.split_of(int(one)) for one in together), np.int8)
            split[used] = drawn[used]
        whole = np.frombuffer(self._whole, np.uint64)[used]
        # Drawn by these keys, no two splits share one.
        keys = keys if rule.split is not None or rule.group is not None else []
        return Splits(
            split,
            duplicates=len(whole) - len(np.unique(whole)),
            shared=sum(_shared(key[used], split[used]) for key in keys),
        )


@dataclass(frozen=True)
class Splits:
    """The split of each row of a file, as an index in `SPLITS`, or `UNUSED`."""

    of_row: np.ndarray
    duplicates: int  # rows that are equal to an earlier one in every cell
    shared: int  # files that several splits have; without files, rows that are equal in all inputs

    @property
    def counts(self) -> dict[str, int]:
        """Rows by split."""
        return {name: int(np.sum(self.of_row == number)) for number, name in enumerate(SPLITS)}


def _joined(keys: Sequence[np.ndarray]) -> np.ndarray:
    """One key for each row, equal for rows that share a key directly or through others."""
    joined = keys[0].copy()
    if len(keys) == 1:
        return joined
    # The smallest key spreads to all rows that share one with it, until nothing changes.
    places = [np.unique(key, return_inverse=True)[1] for key in keys]
    while True:
        before = joined
        for place in places:
            least = np.full(place.max(initial=-1) + 1, np.iinfo(np.uint64).max, np.uint64)
            np.minimum.at(least, place, joined)
            joined = np.minimum(joined, least[place])
        if np.array_equal(before, joined):
            return joined


def _shared(keys: np.ndarray, split: np.ndarray) -> int:
    values, places = np.unique(keys, return_inverse=True)
    seen = np.zeros((len(values), len(SPLITS)), bool)
    seen[places, split] = True
    return int(np.sum(seen.sum(axis=1) > 1))


def _hash(value: Cell) -> int:
    """64 bits of a cell, the same in every process."""
    return int.from_bytes(hashlib.blake2b(content(value), digest_size=8).digest(), "big")


def content(value: Any) -> bytes:
    """Bytes that differ where values differ, the same in every process."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}".encode() + value.tobytes()
    if isinstance(value, Recording):
        value = [value.samples, value.sample_rate]
    if isinstance(value, Mapping):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, (list, tuple)):
        parts = [content(part) for part in value]
        return b"".join(f"{len(part)}:".encode() + part for part in parts)
    if isinstance(value, bytes):
        return b"b" + value
    return repr(value).encode("utf-8", "surrogatepass")
