import numpy as np
import pytest
import scipy.stats

from mmjax.statistics.means import spread, wilson


def test_the_interval_is_that_of_scipy():
    for count in (2, 3, 10):
        values = np.random.default_rng(count).normal(3.0, 2.0, count).tolist()
        got = spread(values)
        low, high = scipy.stats.t.interval(
            0.95, count - 1, loc=np.mean(values), scale=scipy.stats.sem(values)
        )
        expected = {"mean": np.mean(values), "std": np.std(values, ddof=1)}
        assert got == pytest.approx({**expected, "low": low, "high": high}, rel=1e-9)
        assert {type(value) for value in got.values()} == {float}


def test_one_value_has_a_mean_only_and_none_is_an_error():
    assert spread([2.5]) == {"mean": 2.5}
    with pytest.raises(ValueError, match="at least one, got none"):
        spread([])


def test_an_infinite_value_has_no_spread():
    got = spread([1.0, float("inf")])
    assert got.pop("mean") == float("inf")
    assert all(np.isnan(value) for value in got.values())


@pytest.mark.parametrize("right", [0, 1, 7, 30])
def test_the_interval_of_a_share_is_that_of_statsmodels(right):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    got = wilson((np.arange(30) < right).astype(float))
    expected = proportion.proportion_confint(right, 30, method="wilson")
    assert got == pytest.approx((right / 30, *expected), rel=1e-9, abs=1e-12)
