import grain
import numpy as np
import pytest

from mmjax.data.pipeline import order


@pytest.mark.parametrize("length", [1, 2, 3, 100, 1437, 65_535, 65_536, 65_538, 5_000_000])
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_it_is_the_order_of_grain(length, seed):
    stream = grain.MapDataset.range(length).seed(seed).shuffle().repeat()
    places = np.array([0, 1, 2, 5, length - 1, length, 7 * length + length // 2, 10**9 + 1])
    expected = [stream[int(place)] for place in places]
    assert order.examples_at(places, length, seed).tolist() == expected


@pytest.mark.parametrize("length", [1, 5, 257, 65_537])  # Grain draws one of 65,537 twice
def test_every_epoch_has_every_example_once_and_an_order_of_its_own(length, monkeypatch):
    first, second = (
        order.examples_at(np.arange(length) + epoch * length, length, 3) for epoch in (0, 1)
    )
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(length))
    assert length < 5 or np.any(first != second)
    monkeypatch.setattr(order, "_MOST_KEPT", 0)
    np.testing.assert_array_equal(order.examples_at(np.arange(length), length, 3), first)


def test_the_orders_of_many_seeds_are_computed_once_each(monkeypatch):
    made, permuted = [], order._permuted
    monkeypatch.setattr(order, "_permuted", lambda *a: made.append(a[1:]) or permuted(*a))
    for start in range(0, 60, 10):
        for seed in range(8):
            order.examples_at(np.arange(start, start + 10), 61, 900 + seed)
    assert len(made) == len(set(made)) == 8
