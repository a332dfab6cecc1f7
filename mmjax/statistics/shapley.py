"""What each player adds to a whole, here each modality to a metric: Shapley values."""

import itertools
import math
from collections.abc import Mapping, Sequence

Values = Mapping[frozenset[str], float]  # of every subset of the players, the empty one too


def subsets(players: Sequence[str]) -> list[frozenset[str]]:
    """All subsets, small ones first."""
    sizes = range(len(players) + 1)
    return [frozenset(one) for size in sizes for one in itertools.combinations(players, size)]


def shapley(values: Values) -> dict[str, float]:
    """phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)), Shapley 1953.

    They sum to v(all) - v(none).
    """
    players = sorted(max(values, key=len))
    found = {}
    for own in players:
        others = [name for name in players if name != own]
        found[own] = math.fsum(
            _weight(len(part), len(players)) * (values[part | {own}] - values[part])
            for part in subsets(others)
        )
    return found


def interactions(values: Values) -> dict[tuple[str, str], float]:
    """The interaction index of each pair, Grabisch and Roubens 1999 (Int. J. Game Theory 28).

    The mean over S without i and j of v(S + i + j) - v(S + i) - v(S + j) + v(S), weighted as among
    n - 1 players. Above 0: together they add more than each alone (synergy); below 0: what one adds
    the other adds too (redundancy).
    """
    players = sorted(max(values, key=len))
    found = {}
    for i, j in itertools.combinations(players, 2):
        others = [name for name in players if name not in (i, j)]
        found[i, j] = math.fsum(
            _weight(len(part), len(players) - 1)
            * (values[part | {i, j}] - values[part | {i}] - values[part | {j}] + values[part])
            for part in subsets(others)
        )
    return found


def _weight(size: int, players: int) -> float:
    """The share of the orders of `players` in which exactly these `size` come before one."""
    return math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
