"""Retrieval equals a search by hand, also with ties and several right items."""

import numpy as np
import pytest

from mmjax.metrics import retrieval as module
from mmjax.metrics.retrieval import retrieval


def by_hand(queries, gallery, group):
    """One query after the other, with sorted lists."""
    items = {}
    for vector, own in zip(gallery, group, strict=True):
        items[(*vector.tolist(), *own.tolist())] = (vector, tuple(own))
    rows = []
    for query, own in zip(queries, group, strict=True):
        scored = [(float(v @ query), g == tuple(own)) for v, g in items.values()]
        scored.sort(key=lambda pair: (-pair[0], pair[1]))
        ranks = [rank for rank, (_, right) in enumerate(scored, 1) if right]
        precision = [count / rank for count, rank in enumerate(ranks, 1)]
        gain = sum(1 / np.log2(rank + 1) for rank in ranks)
        best = sum(1 / np.log2(rank + 1) for rank in range(1, len(ranks) + 1))
        rows.append((ranks[0], np.mean(precision), gain / best))
    first, precision, gain = map(np.array, zip(*rows, strict=True))
    recalls = {f"recall_{k}": np.mean(first <= k) for k in (1, 5, 10)}
    means = {"map": precision.mean(), "ndcg": gain.mean()}
    return recalls | {"median_rank": np.median(first)} | means


@pytest.mark.parametrize("block", [1, 50, 10**6])
def test_it_equals_a_search_by_hand_with_ties_and_several_right_items(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(0)
    # Few different integers: many scores are equal, and exact.
    queries, gallery = rng.integers(-2, 3, (2, 60, 4)).astype(np.float32)
    group = np.repeat(rng.integers(0, 25, (60, 1)), 2, axis=1)
    found = retrieval(queries, gallery, group)
    assert found == pytest.approx(by_hand(queries, gallery, group))


def test_a_perfect_search_scores_best_and_equal_vectors_worst():
    vectors = np.eye(30, dtype=np.float32)
    group = np.stack([np.arange(30), np.zeros(30, int)], axis=1)
    perfect = retrieval(vectors, vectors, group)
    assert perfect == dict.fromkeys(perfect, 1.0)
    collapsed = retrieval(np.ones((30, 4), np.float32), np.ones((30, 4), np.float32), group)
    assert collapsed["recall_10"] == 0 and collapsed["median_rank"] == 30


def test_a_picture_with_five_captions_is_one_item():
    pictures = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    captions = pictures + 0.1 * np.arange(5, dtype=np.float32).repeat(4).reshape(20, 1)
    group = np.repeat(np.arange(4), 5)[:, None].repeat(2, axis=1)
    assert retrieval(captions, pictures, group)["map"] == 1
