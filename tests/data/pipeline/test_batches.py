import gc
import itertools
import threading
import time

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmjax.data.dataset import Dataset, Examples, Source
from mmjax.data.pipeline.batches import eval_batches, train_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Binary
from mmjax.data.transforms.image import ImageTransform
from mmjax.types import Masked

_PREPROCESSING = Preprocessing(
    {"image": ImageTransform((1, 1, 1), (0.0,), (1 / 255,))}, {"match": Binary()}
)


class _Numbers(Source):
    """Example i is a pixel of the value i; its label is random in training, 1 in evaluation."""

    def __init__(self, length, *, label=None, surplus=0):
        self.length, self.label, self.surplus = length, label, surplus

    def __len__(self):
        return self.length

    def read(self, indices, rng, own=slice(None)):
        match = np.ones(len(indices) + self.surplus, np.float32)
        if rng is not None:
            match = rng.integers(0, 2, len(match)).astype(np.float32)
        if self.label is not None:
            match[-1] = self.label
        match = match[own] if self.surplus == 0 else match
        pixels = indices[own].astype(np.uint8).reshape(-1, 1, 1, 1)
        return Examples({"image": pixels}, {"match": match})


class _Plain(Dataset):
    def prepare(self): ...

    def preprocessing(self):
        return _PREPROCESSING

    def source(self, split):
        return _Numbers(10)


class _Shaken(_Plain):
    def perturb(self, inputs, preprocessing, rng, share=None):
        image = inputs["image"]
        return {"image": Masked(rng.random(image.values.shape), image.mask)}


def _train(length=10, *, data=None, batch_size=4, seed=0, start=0, **kwargs):
    return train_batches(
        data or _Plain(),
        _Numbers(length, **kwargs),
        _PREPROCESSING,
        batch_size=batch_size,
        seed=seed,
        start=start,
    )


def _take(batches, n):
    return list(itertools.islice(batches, n))


def _assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_a_training_batch_holds_its_examples_their_ids_and_weight_one():
    (batch,) = _take(_train(), 1)
    pixels = np.rint(batch.inputs["image"].values[:, 0, 0, 0])
    np.testing.assert_array_equal(pixels, batch.ids)
    assert batch.ids.dtype == np.int64
    np.testing.assert_array_equal(batch.weight, np.ones(4, np.float32))
    assert batch.targets["match"].values.shape == (4,)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 30), batch_size=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_every_epoch_has_every_example_once_across_batches(length, batch_size, seed):
    epochs = 3
    batches = _take(
        _train(length, batch_size=batch_size, seed=seed), -(-epochs * length // batch_size)
    )
    ids = np.concatenate([batch.ids for batch in batches])[: epochs * length].reshape(
        epochs, length
    )
    np.testing.assert_array_equal(np.sort(ids, axis=1), np.tile(np.arange(length), (epochs, 1)))


def test_every_epoch_and_every_seed_has_an_order_of_its_own():
    orders = [
        np.concatenate([batch.ids for batch in _take(_train(50, batch_size=10, seed=seed), 15)])
        for seed in range(3)
    ]
    epochs = {tuple(epoch) for order in orders for epoch in order.reshape(3, 50)}
    assert len(epochs) == 9


def test_starting_at_a_step_continues_exactly_where_a_run_stopped():
    whole = _take(_train(data=_Shaken(), seed=7), 30)
    for start in (25, 1, 0):
        _assert_equal(whole[start:], _take(_train(data=_Shaken(), seed=7, start=start), 30 - start))


def test_the_randomness_of_a_step_is_its_own():
    first, second = (_take(_train(data=_Shaken(), batch_size=10, seed=seed), 2) for seed in (0, 1))
    drawn = [tuple(batch.inputs["image"].values.ravel()) for batch in first + second]
    assert len(set(drawn)) == 4


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 40), batch_size=st.integers(1, 50))
def test_evaluation_has_every_example_exactly_once_in_order(length, batch_size):
    batches = list(eval_batches(_Numbers(length), _PREPROCESSING, batch_size=batch_size))
    assert {len(batch.ids) for batch in batches} == {batch_size}
    ids = np.concatenate([batch.ids for batch in batches])
    weight = np.concatenate([batch.weight for batch in batches])
    np.testing.assert_array_equal(ids[:length], np.arange(length))
    assert (ids[length:] == -1).all()
    np.testing.assert_array_equal(weight, ids >= 0)
    assert len(ids) - length < batch_size


def test_what_fills_the_last_batch_is_masked_and_of_the_same_kind():
    *_, full, last = eval_batches(_Numbers(10), _PREPROCESSING, batch_size=4)
    assert last.inputs["image"].mask.tolist() == [True, True, False, False]
    assert (last.inputs["image"].values[2:] == 0).all()
    assert last.targets["match"].values.tolist() == [1, 1, 0, 0]
    kinds = [jax.tree.map(lambda rows: (rows.shape, rows.dtype), batch) for batch in (full, last)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_of_nothing_is_refused_at_once(batch_size):
    with pytest.raises(ValueError, match=f"batch_size: expected at least 1, got {batch_size}"):
        _train(batch_size=batch_size)
    with pytest.raises(ValueError, match=f"batch_size: expected at least 1, got {batch_size}"):
        eval_batches(_Numbers(3), _PREPROCESSING, batch_size=batch_size)


def test_impossible_seeds_starts_and_sources_are_refused_at_once():
    with pytest.raises(ValueError, match="seed: expected 0 to"):
        _train(seed=-1)
    with pytest.raises(ValueError, match="seed: expected 0 to"):
        _train(seed=2**32)
    with pytest.raises(ValueError, match="start: expected a step of 0 or more, got -1"):
        _train(start=-1)
    with pytest.raises(ValueError, match="source: expected at least one example"):
        _train(length=0)


@pytest.mark.parametrize("label", [2.0, -1.0, 0.5, float("nan")])
def test_a_label_other_than_zero_or_one_is_refused_with_its_example(label):
    where = r"target 'match', examples 0 to 3: row 3: expected 0 or 1, got np\.float32"
    with pytest.raises(ValueError, match=where):
        next(eval_batches(_Numbers(10, label=label), _PREPROCESSING, batch_size=4))
    with pytest.raises(ValueError, match=r"target 'match', examples .*: expected 0 or 1"):
        next(_train(label=label))


@pytest.mark.parametrize("surplus", [-1, 2])
def test_labels_of_another_length_are_refused(surplus):
    with pytest.raises(ValueError, match=f"target 'match': expected 4 rows, got {4 + surplus}"):
        next(_train(surplus=surplus))


def test_inputs_of_another_length_are_refused():
    class Short(_Numbers):
        def read(self, indices, rng, own=slice(None)):
            return Examples({"image": super().read(indices[1:], rng).inputs["image"]}, {})

    with pytest.raises(ValueError, match="image: expected 4 rows, got 3"):
        next(eval_batches(Short(10), _PREPROCESSING, batch_size=4))


def _threads():
    return set(threading.enumerate())


@pytest.mark.parametrize("end", ["close", "garbage"])
def test_the_thread_that_runs_ahead_ends_with_its_iterator(end):
    before = _threads()
    batches = _train()
    next(batches)
    started = _threads() - before
    assert len(started) == 1
    if end == "close":
        batches.close()
    else:
        del batches
        gc.collect()
    assert not any(thread.is_alive() for thread in started)


def test_batches_are_made_ahead_but_only_a_few():
    class Counting(_Numbers):
        reads = 0

        def read(self, indices, rng, own=slice(None)):
            self.reads += 1
            return super().read(indices, rng, own)

    source = Counting(100)
    batches = train_batches(_Plain(), source, _PREPROCESSING, batch_size=2, seed=0, start=0)
    next(batches)
    deadline = time.monotonic() + 5
    while source.reads < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert 3 <= source.reads <= 8
    batches.close()


def test_closing_waits_for_no_batch_that_has_not_begun():
    class Slow(_Numbers):
        reads = 0

        def read(self, indices, rng):
            self.reads += 1
            time.sleep(0.2 if self.reads > 1 else 0)
            return super().read(indices, rng)

    source = Slow(100)
    batches = eval_batches(source, _PREPROCESSING, batch_size=2)
    next(batches)
    batches.close()
    assert source.reads <= 3
