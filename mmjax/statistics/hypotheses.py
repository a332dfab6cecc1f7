"""Tests of whether methods differ, how much they do, and corrections for testing often."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

SIGNIFICANCE = 0.05  # p value below which two methods differ
_SAME = 1e-9  # absolute difference of values that are equal up to rounding
_DRAWN = 9_999  # permutations, where there are more

Numbers = Sequence[float] | Float[np.ndarray, "_"]


def mcnemar(left: Bool[np.ndarray, "example"], right: Bool[np.ndarray, "example"]) -> float:
    """The exact test of McNemar 1947 (Psychometrika): who is right, on the same examples.

    The two-sided p value of a fair coin for the examples that only one of both gets right; 1 where
    there are none.
    """
    only = int(np.sum(left & ~right)), int(np.sum(right & ~left))
    return float(scipy.stats.binomtest(min(only), sum(only)).pvalue) if sum(only) else 1.0


def welch(left: Numbers, right: Numbers) -> float:
    """The two-sided p value of equal means, Welch 1947 (Biometrika); variances may differ.

    If neither side varies it is 0 where the means are more than 1e-9 apart, else 1.

    Raises:
        ValueError: a side has fewer than two values, or a value that is not finite.
    """
    a, b = _checked(left, right)
    if max(np.std(a, ddof=1), np.std(b, ddof=1)) < _SAME:
        return 0.0 if abs(np.mean(a) - np.mean(b)) > _SAME else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # values that are nearly equal
        result: Any = scipy.stats.ttest_ind(a, b, equal_var=False)
    return float(result.pvalue)


def differ(left: Numbers, right: Numbers, level: float = SIGNIFICANCE) -> bool:
    """Whether Welch's test gives p < level; without correction for the number of comparisons."""
    return welch(left, right) < level


def permutation(left: Numbers, right: Numbers, seed: int = 0) -> float:
    """The two-sided p value of a difference of means if labels were shuffled, Fisher 1935.

    Exact up to 9,999 divisions of the values into two sides, of which it cannot be smaller than
    the reciprocal; more are drawn. Errors as of `welch`.
    """
    a, b = _checked(left, right)

    def gap(a: np.ndarray, b: np.ndarray, axis: int) -> Any:
        return np.mean(a, axis=axis) - np.mean(b, axis=axis)

    rng = np.random.default_rng(seed)
    found = scipy.stats.permutation_test((a, b), gap, vectorized=True, n_resamples=_DRAWN, rng=rng)
    return float(found.pvalue)


def cohen_d(left: Numbers, right: Numbers) -> float:
    """(mean left - mean right) / pooled standard deviation, Cohen 1988; errors as of `welch`.

    0.2 is called small, 0.5 medium, 0.8 large. NaN where the means are equal and nothing varies.
    """
    a, b = _checked(left, right)
    freedom = a.size + b.size - 2
    pooled = ((a.size - 1) * np.var(a, ddof=1) + (b.size - 1) * np.var(b, ddof=1)) / freedom
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((np.mean(a) - np.mean(b)) / np.sqrt(pooled))


def paired_d(left: Numbers, right: Numbers) -> float:
    """Mean of left - right over its standard deviation, for values of the same units (Cohen 1988).

    0 where all differences are equal; errors as of `welch`.
    """
    a, b = _checked(left, right)
    spread = float(np.std(a - b, ddof=1))
    return float(np.mean(a - b)) / spread if spread else 0.0


def holm(p: Numbers) -> list[float]:
    """p values corrected for their number, Holm 1979 (Scandinavian Journal of Statistics).

    With all below a level called different, the chance of any wrong call is at most that level.
    NaN, of a test that could not be made, stays and does not count.
    """
    given = np.asarray(p, np.float64)
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    scaled = given[order] * np.arange(len(order), 0, -1)
    result = given.copy()
    result[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return result.tolist()


class Ranks(NamedTuple):
    """Methods by their mean rank over data sets, 1 is the best."""

    mean: Float[np.ndarray, "method"]
    p: float  # Friedman's test: all methods are alike; NaN for fewer than 3
    critical: float  # mean ranks that are closer do not differ at `SIGNIFICANCE`: Nemenyi's test


def ranks(scores: Float[np.ndarray, "data method"]) -> Ranks:
    """Friedman's test and Nemenyi's critical difference, Demsar 2006 (JMLR 7); higher is better.

    CD = q sqrt(k (k + 1) / (6 n)) for k methods on n data sets, with q the quantile of the
    studentised range over sqrt(2).

    Raises:
        ValueError: fewer than 2 methods or data sets, or a score that is not finite.
    """
    n, k = scores.shape
    if min(n, k) < 2 or not np.isfinite(scores).all():
        raise ValueError(f"scores: expected finite numbers, 2 by 2 or more, got {n} by {k}")
    mean = scipy.stats.rankdata(-scores, axis=1).mean(axis=0)
    p = float("nan")
    if k > 2:
        with np.errstate(invalid="ignore", divide="ignore"):
            p = float(scipy.stats.friedmanchisquare(*scores.T).pvalue)
    q = scipy.stats.studentized_range.ppf(1 - SIGNIFICANCE, k, np.inf) / np.sqrt(2)
    return Ranks(mean, p, float(q * np.sqrt(k * (k + 1) / (6 * n))))


def _checked(left: Numbers, right: Numbers) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    for name, side in (("left", a), ("right", b)):
        if side.size < 2 or not np.isfinite(side).all():
            raise ValueError(f"{name}: expected at least 2 finite values, got {side.tolist()}")
    return a, b
