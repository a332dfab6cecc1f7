"""How easily rows are linked to people: prosecutor risk, El Emam, Dankar (JAMIA 2008)."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple


class Risk(NamedTuple):
    """Linkage risk of an attacker who knows the quasi-identifiers of somebody in the table."""

    k: int  # people of the smallest group of rows with equal quasi-identifiers
    groups: int
    unique: float  # share of rows whose group is of one person
    mean: float  # mean over rows of 1 / people of the group
    highest: float  # the highest of these: 1 / k


def risk(rows: Sequence[Hashable], people: Sequence[Hashable]) -> Risk:
    """The risk of rows of quasi-identifiers, each of a person."""
    found = _within(rows, people)
    sizes = [found[row] for row in rows]
    k, count = min(sizes), len(sizes)
    alone = sum(size == 1 for size in sizes)
    return Risk(k, len(found), alone / count, sum(1 / size for size in sizes) / count, 1 / k)


def diversity(rows: Sequence[Hashable], sensitive: Sequence[Hashable]) -> int:
    """Fewest distinct sensitive values in a group of equal quasi-identifiers: its l."""
    return min(_within(rows, sensitive).values())


def _within(rows: Sequence[Hashable], values: Sequence[Hashable]) -> dict[Hashable, int]:
    """The number of distinct values in each group of equal rows."""
    found: dict[Hashable, set[Hashable]] = {}
    for row, value in zip(rows, values, strict=True):
        found.setdefault(row, set()).add(value)
    return {row: len(values) for row, values in found.items()}
