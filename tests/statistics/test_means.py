import numpy as np
import pytest
import scipy.stats

from mmjax.statistics.means import differ, spread


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


def test_means_differ_where_welchs_test_of_scipy_says_so():
    verdicts = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        left = random.normal(0.0, 1.0, 3 + seed % 4)
        right = random.normal(1.5, 0.1 + seed % 3, 5)
        for level in (0.05, 0.3):
            p = scipy.stats.ttest_ind(left, right, equal_var=False).pvalue
            verdicts.append(bool(p < level))
            assert differ(left.tolist(), right.tolist(), level) == verdicts[-1]
    assert 10 < sum(verdicts) < 70
    assert differ([0.0, 1.0, 2.0], [3.0, 4.0, 5.0]) == differ(
        [0.0, 1.0, 2.0], [3.0, 4.0, 5.0], 0.05
    )


def test_without_any_spread_means_are_compared_as_they_are():
    assert differ([0.5, 0.5], [0.6, 0.6])
    # The mean of three times 0.1 is rounded.
    assert not differ([0.1, 0.1], [0.1, 0.1, 0.1])
    assert differ([0.5, 0.5, 0.5], [0.6, 0.61, 0.6])


@pytest.mark.parametrize("wrong", [[1.0], [], [1.0, float("nan")]])
def test_too_few_or_undefined_values_cannot_be_compared(wrong):
    with pytest.raises(ValueError, match="left: expected at least 2 finite"):
        differ(wrong, [1.0, 2.0])
    with pytest.raises(ValueError, match="right: expected at least 2 finite"):
        differ([1.0, 2.0], wrong)
