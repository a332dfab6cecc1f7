"""Private batches: each example independently, with one probability, by a secret key."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from mmjax.data.pipeline import poisson
from mmjax.data.pipeline.poisson import Poisson
from mmjax.errors import UserError

DRAWN = Poisson(length=200, batch_size=20, size=64, key=7, seed=0)


def test_each_example_is_drawn_independently_with_the_same_probability():
    there = np.zeros((4000, 200), bool)
    for step in range(4000):
        indices, _, share = DRAWN(step)
        assert len(indices) == share.size == 64
        real = indices[indices >= 0]
        assert len(set(real)) == len(real) and np.all(indices[len(real) :] == -1)
        there[step, real] = True
    np.testing.assert_allclose(there.mean(axis=0), 0.1, atol=0.02)  # 4 deviations
    sizes = there.sum(axis=1)
    assert sizes.mean() == pytest.approx(20, abs=0.3)
    assert sizes.var() == pytest.approx(18, rel=0.1)  # n q (1 - q)
    together = np.corrcoef(there[:, :50].T)[~np.eye(50, dtype=bool)]
    assert np.abs(together).max() < 0.08


def test_a_step_is_drawn_by_the_key_alone():
    np.testing.assert_array_equal(DRAWN(3)[0], DRAWN(3)[0])
    assert not np.array_equal(DRAWN(3)[0], DRAWN(4)[0])
    other = dataclasses.replace(DRAWN, key=8)
    assert not np.array_equal(DRAWN(3)[0], other(3)[0])
    reseeded = dataclasses.replace(DRAWN, seed=1)
    np.testing.assert_array_equal(DRAWN(3)[0], reseeded(3)[0])


def test_a_batch_with_more_examples_than_rows_is_an_error_and_never_cut():
    with pytest.raises(UserError, match="a private batch of"):
        for step in range(200):
            dataclasses.replace(DRAWN, size=25)(step)


def test_the_rows_are_enough_and_a_multiple():
    assert poisson.rows(200, 20, 64) == 128  # 65 are enough: a chance of 7e-19 of one more
    assert poisson.rows(200, 200, 1) == 200
    for length, size in ((200, 20), (100_000, 256)):
        found, drawn = poisson.rows(length, size, 1), scipy.stats.binom(length, size / length)
        assert drawn.sf(found) <= 1e-18 < drawn.sf(found - 1)
