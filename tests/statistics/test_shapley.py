import numpy as np
import pytest

from mmjax.statistics.shapley import interactions, shapley, subsets


@pytest.mark.parametrize("count", [1, 2, 4])
def test_they_sum_to_the_whole(count):
    names = [f"m{i}" for i in range(count)]
    values = dict(zip(subsets(names), np.random.default_rng(count).random(2**count), strict=True))
    found = shapley(values)
    whole = values[frozenset(names)] - values[frozenset()]
    assert sum(found.values()) == pytest.approx(whole)


def test_what_adds_up_is_divided_as_it_was_made():
    parts = {"a": 1.0, "b": 2.0, "c": 0.0}
    values = {part: 5.0 + sum(parts[name] for name in part) for part in subsets("abc")}
    assert shapley(values) == pytest.approx(parts)
    assert all(abs(value) < 1e-12 for value in interactions(values).values())


def test_synergy_is_positive_and_redundancy_negative():
    both = {part: float({"a", "b"} <= part) for part in subsets("abc")}
    either = {part: float(bool({"a", "b"} & part)) for part in subsets("abc")}
    assert shapley(both) == pytest.approx({"a": 0.5, "b": 0.5, "c": 0.0})
    assert interactions(both)["a", "b"] == pytest.approx(1) and interactions(both)["a", "c"] == 0
    assert interactions(either)["a", "b"] == pytest.approx(-1)


def test_the_textbook_game_of_gloves():
    """Two have a left glove, one a right one; a pair is worth 1: 1/6, 1/6, 4/6."""
    pairs = {part: float("r" in part and len(part) > 1) for part in subsets(["l", "m", "r"])}
    assert shapley(pairs) == pytest.approx({"l": 1 / 6, "m": 1 / 6, "r": 4 / 6})
