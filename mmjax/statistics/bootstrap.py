"""Bootstrap intervals, Efron 1979 (Annals of Statistics): examples are drawn again and again.

What is drawn may be whole groups, such as all visits of a patient, and within strata, such as
classes, each of which then keeps its size.
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float, Int, Shaped

DEFINED = 0.9  # share of resamples in which a statistic must be defined
_BLOCK = 2_000_000  # units that are drawn at a time

Rows = Int[np.ndarray, "row"]
Names = Sequence | Shaped[np.ndarray, "example"]  # the group or stratum of each example


class Interval(NamedTuple):
    """A statistic and the ends of its interval, which are NaN where there is none."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A difference of two statistics, its interval, and the two-sided p value of no difference."""

    value: float
    low: float
    high: float
    p: float


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """How examples are drawn. A statistic is a function of rows of the split, some repeated.

    There is no interval where fewer than two units can be drawn, or where a statistic is undefined
    (NaN) in more than a tenth of the resamples; other undefined ones are left out.
    """

    groups: Names | None = None  # rows of one group are drawn together; none: each row alone
    strata: Names | None = None  # each is drawn from by itself; a group must lie in one stratum
    # "BCa" corrects bias and skewness (Efron 1987), and computes the statistic once more for each
    # unit.
    method: Literal["percentile", "BCa"] = "percentile"
    resamples: int = 1000
    level: float = 0.95  # coverage of the interval, 0..1
    seed: int = 0

    def intervals(self, statistic: Callable[[Rows], Sequence[float]], count: int) -> list[Interval]:
        """The intervals of all numbers that `statistic` gives, for a split of `count` rows.

        Raises:
            ValueError: there is no row, groups or strata are not as many as the rows, or a group
                is in several strata.
        """
        values = np.asarray(statistic(np.arange(count)), np.float64)
        drawn, ends = self._drawn(statistic, count, len(values))
        found = []
        for value, own, whole in zip(values, drawn, ends, strict=True):
            known = own[~np.isnan(own)]
            low, high = np.nan, np.nan
            if not np.isnan(value) and known.size >= DEFINED * self.resamples > 0:
                tail = (1 - self.level) / 2
                low, high = (
                    whole if known.size == own.size else np.quantile(known, [tail, 1 - tail])
                )
            found.append(Interval(float(value), float(low), float(high)))
        return found

    def interval(self, statistic: Callable[[Rows], float], count: int) -> Interval:
        """The interval of one number; as `intervals`."""
        return self.intervals(lambda rows: [statistic(rows)], count)[0]

    def difference(
        self, left: Callable[[Rows], float], right: Callable[[Rows], float], count: int
    ) -> Difference:
        """left - right on the same examples: both are computed from the same resamples (paired).

        p = 2 min(#{d <= 0} + 1, #{d >= 0} + 1) / (resamples + 1), at most 1: the percentile
        interval inverted, Davison and Hinkley 1997, chapter 4. NaN where there is no interval.
        """
        kept: list[float] = []

        def gap(rows: Rows) -> list[float]:
            kept.append(left(rows) - right(rows))
            return kept[-1:]

        percentile = dataclasses.replace(self, method="percentile")
        ((value, low, high),) = percentile.intervals(gap, count)
        if np.isnan(low):
            return Difference(value, low, high, np.nan)
        drawn = np.array(kept[1:])  # the first is of the split itself
        drawn = drawn[~np.isnan(drawn)]
        side = min(np.sum(drawn <= 0), np.sum(drawn >= 0))
        return Difference(value, low, high, min(float(2 * (side + 1) / (drawn.size + 1)), 1.0))

    def _drawn(
        self, statistic: Callable[[Rows], Sequence[float]], count: int, width: int
    ) -> tuple[Float[np.ndarray, "value resample"], Float[np.ndarray, "value 2"]]:
        """The statistics of the resamples and SciPy's intervals; none where nothing can be drawn.

        A stratum of a single unit is in every resample.
        """
        members, strata = self._units(count)
        single = [units[0] for units in strata if len(units) == 1]
        fixed = [members[unit] for unit in single]
        samples = [np.array(units) for units in strata if len(units) > 1]
        if not samples:
            return np.full((width, 0), np.nan), np.full((width, 2), np.nan)

        def of_units(*units: Any) -> np.ndarray:
            # Without groups a unit is a row.
            rows = units if self.groups is None else [members[u] for one in units for u in one]
            return np.asarray(statistic(np.concatenate([*rows, *fixed])), np.float64)

        with warnings.catch_warnings():
            # Of statistics that do not vary, or that are NaN in some resample.
            warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            result = scipy.stats.bootstrap(
                samples,
                of_units,
                vectorized=False,
                n_resamples=self.resamples,
                batch=max(1, _BLOCK // count),
                confidence_level=self.level,
                method=self.method,
                rng=np.random.default_rng(self.seed),
            )
        low, high = result.confidence_interval
        return result.bootstrap_distribution, np.stack([low, high], axis=1)

    def _units(self, count: int) -> tuple[list[Rows], list[list[int]]]:
        """The rows of each unit, and the units of each stratum."""
        if count < 1:
            raise ValueError("bootstrap: expected an example, got none")
        for name, given in (("groups", self.groups), ("strata", self.strata)):
            if given is not None and len(given) != count:
                raise ValueError(f"{name}: expected one for each of {count} rows, got {len(given)}")
        of_row = np.arange(count) if self.groups is None else _numbered(self.groups)
        order = np.argsort(of_row, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(of_row[order])) + 1)
        stratum = np.zeros(count, int) if self.strata is None else _numbered(self.strata)
        for rows in members if self.strata is not None else ():
            if len(set(stratum[rows].tolist())) > 1:
                raise ValueError("strata: a group has rows in several strata")
        strata: dict[int, list[int]] = {}
        for unit, rows in enumerate(members):
            strata.setdefault(int(stratum[rows[0]]), []).append(unit)
        return members, list(strata.values())


def _numbered(names: Names) -> Rows:
    numbers: dict[Any, int] = {}
    given = names.tolist() if isinstance(names, np.ndarray) else names
    return np.array([numbers.setdefault(name, len(numbers)) for name in given])
