"""Maps: numbers of the parts of an example, on its pictures, words, cells, sounds and series."""

import html
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mmjax.data.transforms.text import TextTransform
from mmjax.reports.page import Row, number
from mmjax.types import Masked

_PARTS = 4  # into which a side of a picture is cut for the table
_STRONGEST = 3  # parts in the table
Name = Callable[[int, int], str]  # of the part from one place up to another


class Map(NamedTuple):
    """How it looks, and its numbers by part."""

    body: str
    names: Sequence[str]  # of the parts
    values: Sequence[np.ndarray]  # one number for each part: of one kind, and of further kinds

    def strongest(self) -> list[Row]:
        """(part, number of each kind) of the largest numbers of the first kind."""
        order = np.argsort(-np.abs(self.values[0]), kind="stable")[:_STRONGEST]
        return [(self.names[i], *(float(kind[i]) for kind in self.values)) for i in order]

    def alt(self, what: str) -> str:
        """What it shows, for those who do not see it."""
        (part, value, *_), *_ = [*self.strongest(), ("nowhere", 0.0)]
        return f"{what}, strongest at {part}: {number(value)}"


def parts(values: Sequence[np.ndarray], row: Name, column: Name) -> Map:
    """The sums of numbers `[row, column]` of each kind in up to 4 x 4 blocks."""
    down, right = (split(size) for size in values[0].shape)
    names = [f"{row(*a)}, {column(*b)}" for a in down for b in right]
    blocks = [(slice(*a), slice(*b)) for a in down for b in right]
    return Map("", names, [np.array([one[block].sum() for block in blocks]) for one in values])


def split(size: int, most: int = _PARTS) -> list[tuple[int, int]]:
    """(first, end) of at most `most` equal parts."""
    ends = np.linspace(0, size, min(size, most) + 1).round().astype(int).tolist()
    return list(itertools.pairwise(ends))


def words(transform: TextTransform, given: Masked, row: int) -> list[str]:
    """The words of a text of a batch."""
    vocabulary = transform.vocabulary()
    numbers = np.asarray(given.values)[row][np.asarray(given.mask)[row]]
    return [vocabulary[n] if n < len(vocabulary) else str(n) for n in numbers]


def counted(what: str) -> Name:
    """Names such as `rows 0 to 3` or `row 4`."""
    return lambda a, end: f"{what} {a}" if end - a == 1 else f"{what}s {a} to {end - 1}"


def marked(
    texts: Sequence[str], values: np.ndarray, between: str = " ", beside: np.ndarray | None = None
) -> str:
    """Words on colours, with their numbers: blue above 0, orange below; `beside`: other numbers."""
    top = max(float(np.abs(values).max(initial=0)), 1e-12)
    found = []
    for place, (text, value) in enumerate(zip(texts, values, strict=True)):
        rgb = "0,114,178" if value > 0 else "213,94,0"
        style = f"background:rgba({rgb},{0.6 * abs(value) / top:.2f})"
        more = "" if beside is None else f" ({beside[place]:.2g})"
        numbers = f"<small>{value:+.2g}{more}</small>"
        found.append(f'<span class="word" style="{style}">{html.escape(text)} {numbers}</span>')
    return between.join(found)
