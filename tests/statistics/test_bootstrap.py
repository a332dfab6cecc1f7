import dataclasses

import numpy as np
import pytest
import scipy.stats

from mmjax.statistics.bootstrap import Bootstrap


def mean_of(values):
    return lambda rows: float(np.mean(values[rows]))


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_intervals_are_those_of_scipy(method):
    values = np.random.default_rng(0).exponential(size=40)
    found = Bootstrap(method=method, resamples=300, seed=3).intervals(
        lambda rows: [np.mean(values[rows]), np.std(values[rows])], 40
    )
    for got, statistic in zip(found, (np.mean, np.std), strict=True):
        expected = scipy.stats.bootstrap(
            (values,), statistic, n_resamples=300, method=method, rng=np.random.default_rng(3)
        ).confidence_interval
        assert got == pytest.approx((statistic(values), *expected), rel=1e-12)


def test_strata_keep_their_sizes_and_groups_stay_whole():
    strata = np.array(["a"] * 3 + ["b"] * 5 + ["alone"])
    groups = np.array([0, 0, 1, 2, 2, 3, 3, 3, 4])
    seen = []

    def look(rows):
        seen.append(rows)
        return 0.0

    Bootstrap(strata=strata, resamples=50).interval(look, 9)
    for rows in seen:
        assert sorted(strata[rows]) == sorted(strata)
    assert len({tuple(sorted(rows)) for rows in seen}) > 10
    seen.clear()
    Bootstrap(groups=groups, strata=strata, resamples=50).interval(look, 9)
    for rows in seen:
        drawn = np.bincount(rows, minlength=9)
        assert drawn[0] == drawn[1] and drawn[3] == drawn[4] and drawn[5] == drawn[6] == drawn[7]
        assert drawn[8] == 1 and drawn[0] + drawn[2] == 2 and drawn[3] + drawn[5] == 2


def test_whole_groups_make_intervals_wider_where_members_are_alike():
    values = np.repeat(np.random.default_rng(0).normal(size=20), 10)
    alone = Bootstrap(resamples=300).interval(mean_of(values), 200)
    groups = np.repeat(np.arange(20), 10)
    together = Bootstrap(groups=groups, resamples=300).interval(mean_of(values), 200)
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_what_is_undefined_has_no_interval():
    def sometimes(rows):  # undefined without the first row: in (1 - 1/50)^50 = 36 % of resamples
        return float(len(rows)) if 0 in rows else np.nan

    got = Bootstrap(resamples=200).interval(sometimes, 50)
    assert got.value == 50 and np.isnan([got.low, got.high]).all()

    def seldom(rows):  # undefined in 1 - (1 - 1/50)^50 of those without row 0 and 1 and 2 ...
        return float(np.mean(rows)) if {0, 1, 2, 3} & set(rows.tolist()) else np.nan

    got = Bootstrap(resamples=200).interval(seldom, 50)
    assert got.low < got.value < got.high
    one = Bootstrap().interval(mean_of(np.ones(1)), 1)
    assert one.value == 1 and np.isnan(one.low)
    same = Bootstrap(resamples=50, method="BCa").interval(mean_of(np.ones(5)), 5)
    assert same.value == 1 and (np.isnan(same.low) or same.low == 1)


def test_a_paired_difference_is_sharper_than_two_intervals():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=200)
    left, right = hard + 0.1 + 0.1 * rng.normal(size=200), hard
    got = Bootstrap(resamples=500).difference(mean_of(left), mean_of(right), 200)
    assert 0 < got.low < got.value < got.high < 0.15 and got.p == pytest.approx(2 / 501)
    none = Bootstrap(resamples=500).difference(mean_of(hard), mean_of(hard), 200)
    assert none.p == 1.0 and none.value == 0.0


def test_the_p_value_of_no_difference_is_uniform():
    """Of 200 planted pairs without a difference about 5 % have p < 0.05."""
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        left, right = rng.normal(size=(2, 60))
        drawn = Bootstrap(resamples=200, seed=seed)
        found.append(drawn.difference(mean_of(left), mean_of(right), 60).p)
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.1
    assert 0.4 < np.mean(found) < 0.6


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="groups: expected one for each of 3 rows, got 2"):
        Bootstrap(groups=[1, 2]).interval(mean_of(np.ones(3)), 3)
    with pytest.raises(ValueError, match="a group has rows in several strata"):
        Bootstrap(groups=[1, 1, 2], strata=[0, 1, 1]).interval(mean_of(np.ones(3)), 3)
    with pytest.raises(ValueError, match="expected an example, got none"):
        Bootstrap().interval(lambda rows: 0.0, 0)


def test_a_paired_difference_is_that_of_scipy():
    left, right = np.random.default_rng(0).normal(size=(2, 40))
    left = left + right  # so that pairs matter
    found = Bootstrap(resamples=500, seed=3).difference(mean_of(left), mean_of(right), 40)
    expected = scipy.stats.bootstrap(
        (left, right),
        lambda a, b: np.mean(a) - np.mean(b),
        paired=True,
        vectorized=False,
        n_resamples=500,
        method="percentile",
        rng=np.random.default_rng(3),
    ).confidence_interval
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], rtol=1e-12)


def single(rng):
    """The accuracy of a classifier that is right with probability 0.8, on 1,000 examples."""
    return Bootstrap(), (rng.random(1000) < 0.8).astype(float), 0.8


def stratified(rng):
    """One that is right in 0.95 of one class and 0.65 of another, in a test set of 500 of each."""
    right = rng.random(1000) < np.repeat([0.95, 0.65], 500)
    return Bootstrap(strata=np.repeat([0, 1], 500)), right.astype(float), 0.8


def grouped(rng):
    """One that is better for some of 250 people than for others, with 4 examples of each."""
    right = rng.random(1000) < np.repeat(rng.uniform(0.6, 1.0, 250), 4)
    return Bootstrap(groups=np.repeat(np.arange(250), 4)), right.astype(float), 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "method"),
    [(single, "percentile"), (single, "BCa"), (stratified, "percentile"), (grouped, "percentile")],
)
def test_95_percent_intervals_cover_94_to_96_percent_of_2000_planted_data_sets(made, method):
    inside = 0
    for seed in range(2000):
        drawn, right, truth = made(np.random.default_rng(seed))
        drawn = dataclasses.replace(drawn, method=method, resamples=500, seed=seed)
        got = drawn.interval(mean_of(right), 1000)
        inside += got.low <= truth <= got.high
    assert 0.94 <= inside / 2000 <= 0.96
