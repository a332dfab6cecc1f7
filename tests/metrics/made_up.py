"""Made-up splits of classes and numbers, and what every metric of a whole split must fulfil."""

import numpy as np


def classes_split(seed, classes=7, present=5):
    """(logits, labels, weight) of 60 examples: ties, rows twice, classes that never occur."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(60, classes)).round(1)
    logits[:20] = logits[20:40]
    labels = random.integers(0, present, 60)
    logits[np.arange(60), labels] += random.integers(0, 3, 60)
    return logits, labels, random.integers(1, 5, 60) / 3


def numbers_split(seed):
    """(predicted, target, weight) of 50 numbers in about -3..3, with ties in both."""
    random = np.random.default_rng(seed)
    target = random.integers(-6, 7, 50) / 2
    predicted = (target + random.normal(size=50)).round(1)
    return predicted, target, random.integers(1, 5, 50) / 3


def bits(metrics):
    """A metric's dictionary in bytes: NaN equals NaN."""
    return {name: np.float64(value).tobytes() for name, value in metrics.items()}


def assert_order_changes_no_bit(metrics, split, seed):
    """... nor do the layout of the arrays and further examples of weight 0 that hold NaN."""
    order = np.random.default_rng(seed).permutation(len(split[0]))
    assert bits(metrics(*(column[order] for column in split))) == bits(metrics(*split))
    assert bits(metrics(*map(np.asfortranarray, split))) == bits(metrics(*split))


def assert_weight_zero_changes_no_bit(metrics, split):
    """Whatever the examples of weight 0 hold: NaN, infinity, no class."""
    for value in (np.nan, np.inf, -9.0):
        first, second, weight = (
            np.insert(column.astype(float), [0, len(column)], value, axis=0) for column in split
        )
        weight[[0, -1]] = 0.0
        assert bits(metrics(first, second, weight)) == bits(metrics(*split))


def assert_weights_repeat(metrics, split, seed):
    """An example of weight k counts as k examples do."""
    repeats = np.random.default_rng(seed).integers(0, 4, len(split[0]))
    weighted = metrics(split[0], split[1], repeats.astype(float))
    repeated = metrics(
        np.repeat(split[0], repeats, axis=0), np.repeat(split[1], repeats), np.ones(repeats.sum())
    )
    assert list(weighted) == list(repeated)
    np.testing.assert_allclose(list(weighted.values()), list(repeated.values()), atol=1e-12)
