"""Contenders in alternation, and what their times say: medians of ratios, with quartiles."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

OURS, PEERS = "mmjax", ("PyTorch", "flax", "Keras")  # what a contender's name begins with
REST = 0.02  # seconds


class Spread(NamedTuple):
    """The middle of repeated measurements, and the quartiles around it."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """Such as `1.21 (1.15-1.30)`."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError where nothing was measured."""
    if not len(values):
        raise ValueError("values: expected at least one measurement, got none")
    low, median, high = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75))
    return Spread(float(median), float(low), float(high))


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """How many times as long they took, round by round: a disturbance of a round hits both."""
    return spread([a / b for a, b in zip(theirs, ours, strict=True)])


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, calls: int = 1, warm: int = 2
) -> dict[str, list[float]]:
    """Seconds of one call of each contender, `rounds` times, in turn: A B A B ...

    Every contender is called `warm` times before: the first call compiles. With `calls` each turn
    is so many calls in a row, of which the mean is taken. Whoever begins a round changes. Before
    each turn the cores rest: PyTorch's threads go on spinning for some milliseconds.
    """
    for call in list(contenders.values()) * warm:
        call()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            time.sleep(REST)
            begin = time.perf_counter()
            for _ in range(calls):
                contenders[name]()
            seconds[name].append((time.perf_counter() - begin) / calls)
    return seconds


def best(seconds: Mapping[str, Sequence[float]], whose: str) -> str | None:
    """The contender with the lowest median of those whose name begins with `whose`."""
    names = [name for name in seconds if name.startswith(whose)]
    return min(names, key=lambda name: spread(seconds[name]).median, default=None)
