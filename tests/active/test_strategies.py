"""Scores by hand, BADGE against explicit gradients, core-sets against the best possible ones."""

import itertools

import numpy as np
import pytest

from mmjax.active.badge import badge
from mmjax.active.batches import choose
from mmjax.active.core_set import core_set
from mmjax.active.strategies import STRATEGIES, Pool
from mmjax.active.uncertainty import bald, entropy, least_confidence, margin
from mmjax.errors import UserError


def drawn(rng, rows=30, classes=4, dim=3):
    p = rng.dirichlet(np.full(classes, 0.5), rows)
    passes = rng.dirichlet(np.full(classes, 0.5), (5, rows))
    return Pool(p, rng.normal(size=(rows, dim)), rng.normal(size=(2, dim)), passes)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_gives_enough_different_rows_and_the_same_ones_again(name, rng):
    pool = drawn(rng)
    first, again = (STRATEGIES[name](pool, 7, np.random.default_rng(1)) for _ in range(2))
    assert len(first) >= 7 and len(set(first)) == len(first)
    np.testing.assert_array_equal(first, again)


def test_scores_are_those_of_their_formulas():
    p = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.45, 0.45, 0.1]])
    np.testing.assert_allclose(least_confidence(p), [0.5, 0.0, 0.55])
    np.testing.assert_allclose(margin(p), [-0.2, -1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(entropy(p)[:2], [1.0296530, 0.0], atol=1e-6)


def test_bald_is_zero_where_passes_agree_and_log_2_where_sure_ones_differ():
    unsure, sure, other = [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]
    passes = np.array([[unsure, sure], [unsure, other]])
    np.testing.assert_allclose(bald(passes), [0.0, np.log(2)])


def test_bald_without_passes_is_an_error(rng):
    with pytest.raises(UserError, match="bald: expected passes"):
        STRATEGIES["bald"](drawn(rng)._replace(passes=None), 2, rng)


def test_badge_chooses_as_k_means_plus_plus_on_explicit_gradients(rng):
    pool = drawn(rng)
    said = np.eye(4)[pool.p.argmax(axis=1)]
    g = np.einsum("rc,rd->rcd", pool.p - said, pool.vectors).reshape(30, -1)
    draws = np.random.default_rng(3)
    chosen = [int(np.square(g).sum(axis=1).argmax())]
    while len(chosen) < 8:
        distances = np.square(g[:, None] - g[chosen][None]).sum(axis=2).min(axis=1)
        distances[chosen] = 0
        chosen.append(int(draws.choice(30, p=distances / distances.sum())))
    assert badge(pool.p, pool.vectors, 8, np.random.default_rng(3)).tolist() == chosen


def test_badge_ends_where_all_other_gradients_are_those_chosen():
    p, vectors = np.tile([0.6, 0.4], (5, 1)), np.ones((5, 2))
    assert badge(p, vectors, 3, np.random.default_rng(0)).tolist() == [0]


def test_a_core_set_covers_at_most_twice_as_badly_as_the_best(rng):
    points, known = rng.normal(size=(12, 2)), rng.normal(size=(1, 2))

    def radius(rows):
        centres = np.concatenate([known, points[list(rows)]])
        return np.linalg.norm(points[:, None] - centres[None], axis=2).min(axis=1).max()

    best = min(map(radius, itertools.combinations(range(12), 3)))
    chosen = core_set(points, known, 3, rng)
    assert radius(chosen) <= 2 * best and radius(chosen) < radius([])


def test_a_core_set_chooses_nothing_that_is_labelled(rng):
    points = rng.normal(size=(6, 2))
    assert sorted(core_set(points, points[:4], 6, rng)) == [4, 5]
    assert len(core_set(np.ones((4, 2)), np.zeros((0, 2)), 4, rng)) == 1


def test_of_near_twins_one_is_chosen(rng):
    vectors = rng.normal(size=(20, 5))
    vectors[1] = vectors[0] + 1e-3
    vectors[7] = vectors[3]
    chosen = choose(np.arange(20), 6, vectors=vectors)
    assert chosen.tolist() == [0, 2, 3, 4, 5, 6]
    assert 7 not in choose(np.arange(20), 20, vectors=vectors, twins=0.0)
    assert 1 in choose(np.arange(20), 20, vectors=vectors, twins=0.0)


def test_balanced_batches_ask_as_often_about_each_class_as_rows_allow(rng):
    classes = np.array([0] * 15 + [1] * 4 + [2])
    vectors = rng.normal(size=(20, 5))
    chosen = choose(np.arange(20), 12, vectors=vectors, classes=classes)
    assert np.bincount(classes[chosen]).tolist() == [7, 4, 1]
    assert chosen.tolist() == sorted(chosen)  # the best come first
    assert choose(np.arange(20), 12, vectors=vectors).tolist() == list(range(12))
