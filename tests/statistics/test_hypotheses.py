import numpy as np
import pytest
import scipy.stats

from mmjax.statistics.hypotheses import (
    cohen_d,
    differ,
    holm,
    mcnemar,
    permutation,
    ranks,
    welch,
)


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


@pytest.mark.parametrize("seed", range(6))
def test_p_values_are_those_of_scipy_and_statsmodels(seed):
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    many = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(seed)
    left, right = rng.random((2, 80)) < [[0.8], [0.65]]
    table = [[np.sum(left & right), np.sum(left & ~right)]]
    table += [[np.sum(~left & right), np.sum(~left & ~right)]]
    assert mcnemar(left, right) == pytest.approx(tables.mcnemar(table, exact=True).pvalue)
    a, b = rng.normal(size=4), rng.normal(0.7, 2.0, size=5)
    assert welch(a, b) == scipy.stats.ttest_ind(a, b, equal_var=False).pvalue
    p = rng.random(7) ** 3
    assert holm(p) == pytest.approx(many.multipletests(p, method="holm")[1])


def test_a_permutation_test_of_few_values_is_exact():
    assert permutation([1.0, 2.0, 3.0], [11.0, 12.0, 13.0]) == pytest.approx(2 / 20)
    assert permutation([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1.0
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=20), rng.normal(0.4, 1.0, size=20)
    # For sides of one size the order of differences is that of t.
    method = scipy.stats.PermutationMethod(n_resamples=99_999, rng=np.random.default_rng(1))
    expected = scipy.stats.ttest_ind(a, b, method=method).pvalue
    assert permutation(a, b) == pytest.approx(expected, rel=0.1)


def test_nobody_differs_from_himself():
    right = np.array([True, False, True])
    assert mcnemar(right, right) == 1.0
    assert cohen_d([1.0, 2.0], [1.0, 2.0]) == 0.0


def test_an_effect_size_is_the_difference_in_pooled_deviations():
    assert cohen_d([2.0, 4.0], [1.0, 3.0]) == pytest.approx(1 / np.sqrt(2))
    a, b = np.random.default_rng(0).normal(size=(2, 50))
    t = scipy.stats.ttest_ind(a, b).statistic
    assert cohen_d(a, b) == pytest.approx(t * np.sqrt(2 / 50))


def test_an_undefined_p_value_does_not_count_among_comparisons():
    assert holm([0.01, np.nan, 0.03]) == pytest.approx([0.02, np.nan, 0.03], nan_ok=True)
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_critical_differences_are_those_of_demsars_table():
    """q_0.05 of 2 to 10 methods: Demsar 2006, table 5 (a)."""
    table = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 10: 3.164}
    for k, q in table.items():
        scores = np.random.default_rng(k).normal(size=(14, k))
        got = ranks(scores)
        assert got.critical == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), abs=2e-3)
        if k > 2:
            assert got.p == pytest.approx(scipy.stats.friedmanchisquare(*scores.T).pvalue)
    assert ranks(np.array([[3.0, 1.0, 1.0], [2.0, 1.0, 0.0]])).mean.tolist() == [1.0, 2.25, 2.75]
    with pytest.raises(ValueError, match="2 by 2 or more, got 1 by 3"):
        ranks(np.ones((1, 3)))
