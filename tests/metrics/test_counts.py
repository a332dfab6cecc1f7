import jax
import jax.numpy as jnp
import numpy as np
import sklearn.metrics
from hypothesis import given, settings

from mmjax.metrics.counts import BinaryCounts
from tests.metrics.splits import splits


@settings(deadline=None, max_examples=30)
@given(splits())
def test_counts_and_rates_are_those_of_scikit_learn(split):
    logits, labels, weight = split
    got = BinaryCounts.of(logits, labels, weight).compute()
    options = {"sample_weight": weight, "zero_division": 0.0}
    predicted = logits > 0
    confusion = sklearn.metrics.confusion_matrix(
        labels, predicted, labels=[0, 1], sample_weight=weight
    )
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(labels, predicted, sample_weight=weight),
        "precision": sklearn.metrics.precision_score(labels, predicted, **options),
        "recall": sklearn.metrics.recall_score(labels, predicted, **options),
        "f1": sklearn.metrics.f1_score(labels, predicted, **options),
        "true_positives": confusion[1, 1],
        "false_positives": confusion[0, 1],
        "true_negatives": confusion[0, 0],
        "false_negatives": confusion[1, 0],
    }
    assert list(got) == list(expected)
    np.testing.assert_allclose(list(got.values()), list(expected.values()), rtol=1e-12)


def test_counts_of_batches_add_up_to_those_of_the_split():
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(9, 3)), random.integers(0, 2, (9, 3))
    weight = random.integers(0, 3, 9).astype(np.float64)
    whole = BinaryCounts.of(logits, labels, weight)
    for size in (1, 2, 4):
        parts = [slice(start, start + size) for start in range(0, 9, size)]
        first, *others = [BinaryCounts.of(logits[p], labels[p], weight[p]) for p in parts]
        assert sum(others, start=first) == whole


def test_an_example_without_weight_is_not_counted_whatever_it_holds():
    logits = np.array([1.0, np.nan, np.inf], np.float32)
    counts = BinaryCounts.of(logits, np.array([1, 7, -1]), np.array([1.0, 0.0, 0.0]))
    assert list(counts.compute().values()) == [1, 1, 1, 1, 1, 0, 0, 0]


def test_the_host_counts_in_float64_beyond_what_float32_can_hold():
    weight = np.array([2.0**24, 1.0], np.float32)
    counts = BinaryCounts.of(np.ones(2, np.float32), np.ones(2, np.int32), weight)
    assert counts.true_positives == 2**24 + 1


def test_several_labels_count_with_the_weight_of_their_example():
    logits, labels = np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([[1, 1], [0, 0]])
    counts = BinaryCounts.of(logits, labels, np.array([3.0, 0.5])).compute()
    assert counts["true_positives"] == 3.0
    assert counts["false_negatives"] == 3.0
    assert counts["false_positives"] == 1.0
    assert counts["true_negatives"] == 0.0


def test_devices_count_what_the_host_counts():
    random = np.random.default_rng(1)
    logits = random.normal(size=(8, 5)).astype(np.float32)
    labels, weight = random.integers(0, 2, (8, 5)), random.integers(0, 3, (8, 5)) * 1.0

    def count(logits, labels, weight):
        return jax.lax.psum(BinaryCounts.of(logits, labels, weight), "data")

    shared = jax.pmap(count, axis_name="data", out_axes=None)(logits, labels, weight)
    alone = BinaryCounts.of(logits.ravel(), labels.ravel(), weight.ravel())
    assert shared.compute() == alone.compute()


def test_half_precision_logits_and_boolean_labels_are_counted_under_jit():
    logits = jnp.array([1.0, -1.0], jnp.bfloat16)
    counts = jax.jit(BinaryCounts.of)(logits, jnp.array([True, True]), jnp.ones(2, jnp.bfloat16))
    assert counts.true_positives.dtype == jnp.float32
    assert counts.compute()["recall"] == 0.5


def test_nothing_counted_gives_zeros_not_nan():
    nothing = BinaryCounts.of(np.ones(1), np.ones(1), np.zeros(1))
    assert set(nothing.compute().values()) == {0.0}
