"""Over devices, processes, batch sizes and resumptions every example is seen exactly once."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmjax.config import Experiment
from mmjax.data.dataset import Dataset, Examples, Source
from mmjax.data.pipeline.batches import eval_batches, train_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Number
from mmjax.data.transforms.features import FeatureTransform
from mmjax.devices import parallel
from mmjax.devices import processes as others
from mmjax.evaluation.evaluator import Evaluator
from mmjax.models import Model
from mmjax.objectives import Objective
from mmjax.optim import Sgd
from mmjax.types import Outputs, WeightedMean
from tests.drawn import drawn

PREPROCESSING = Preprocessing(
    {"number": FeatureTransform(1, (0.0,), (1.0,))}, {"number": Number(0.0, 1.0)}
)
LONGEST = 40
DEVICES = (1, 2, 3, 8)


class Numbers(Source):
    """Example i holds the number i, as its input and as its label."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def read(self, indices, rng, own=slice(None)):
        rows = indices[own]
        return Examples({"number": rows[:, None].astype(np.float32)}, {"number": rows})


class Splits(Dataset):
    """The split "7" has 7 examples."""

    def prepare(self): ...

    def preprocessing(self):
        return PREPROCESSING

    def source(self, split):
        return Numbers(int(split))


def shares(batch, count):
    """What each of `count` processes, or devices, reads of a global batch: equal runs of rows."""
    size = len(batch.ids) // count
    assert size * count == len(batch.ids)
    return [
        jax.tree.map(lambda x, p=place: x[p * size : (p + 1) * size], batch)
        for place in range(count)
    ]


def train_from(start, length, batch_size, seed, share=(0, 1)):
    return train_batches(
        Splits(),
        Numbers(length),
        PREPROCESSING,
        batch_size=batch_size,
        seed=seed,
        start=start,
        share=share,
    )


def read_numbers(batch):
    """From the inputs, not from the ids: what an encoder sees."""
    return np.asarray(batch.inputs["number"].values[:, 0, 0])


@drawn(8)
@given(
    length=st.integers(1, LONGEST),
    rows=st.integers(1, 4),
    runs=st.lists(st.tuples(st.integers(1, 4), st.sampled_from([1, 2, 3])), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_epoch_is_every_example_once_over_stops_and_changing_numbers_of_shares(
    length, rows, runs, seed
):
    """A run is stopped after some steps and goes on with another number of processes."""
    batch_size = rows * np.lcm.reduce([count for _, count in runs]).item()
    assume(batch_size <= 48)
    seen, start = [], 0
    for steps, count in runs:
        whole = train_from(start, length, batch_size, seed)
        processes = [
            train_from(start, length, batch_size, seed, (place, count)) for place in range(count)
        ]
        for batch, *parts in itertools.islice(zip(whole, *processes, strict=True), steps):
            jax.tree.map(np.testing.assert_array_equal, parts, shares(batch, count))
            for part in parts:
                np.testing.assert_array_equal(read_numbers(part), part.ids)
                np.testing.assert_array_equal(part.targets["number"].values, part.ids)
                np.testing.assert_array_equal(part.weight, np.ones(batch_size // count))
                seen.extend(part.ids)
        for batches in (whole, *processes):
            batches.close()
        start += steps
    assert len(seen) == start * batch_size
    epochs = len(seen) // length
    for epoch in range(epochs):
        assert sorted(seen[epoch * length :][:length]) == list(range(length))
    rest = seen[epochs * length :]
    assert len(set(rest)) == len(rest)


@drawn(25)
@given(
    length=st.integers(1, LONGEST),
    rows=st.integers(1, 6),
    count=st.sampled_from([1, 2, 3, 4, 8]),
)
def test_the_shares_of_an_evaluation_hold_every_example_once_and_fillers_of_weight_0(
    length, rows, count
):
    found = [
        share
        for batch in eval_batches(Numbers(length), PREPROCESSING, batch_size=rows * count)
        for share in shares(batch, count)
    ]
    ids = np.concatenate([share.ids for share in found])
    weight = np.concatenate([share.weight for share in found])
    real = weight > 0
    np.testing.assert_array_equal(ids[real], np.arange(length))
    np.testing.assert_array_equal(np.concatenate([*map(read_numbers, found)])[real], ids[real])
    assert set(ids[~real]) <= {-1} and set(weight) <= {0.0, 1.0}
    assert not any(np.any(share.inputs["number"].mask[share.weight == 0]) for share in found)


def test_the_shares_of_a_processs_devices_are_those_of_all_devices():
    (batch,) = itertools.islice(train_from(0, 24, 24, 0), 1)
    for processes, devices in ((2, 3), (3, 4), (1, 8)):
        nested = [d for p in shares(batch, processes) for d in shares(p, devices)]
        jax.tree.map(np.testing.assert_array_equal, nested, shares(batch, processes * devices))


def counting(state, batch, *, axis):
    """How often each example has been seen, over all devices, as a training step would sum it."""
    seen = jnp.zeros_like(state).at[batch.ids].add(batch.weight)
    seen = seen if axis is None else jax.lax.psum(seen, axis)
    return state + seen, seen


@functools.cache
def counter(wrapper, devices):
    return parallel.WRAPPERS[wrapper](counting, parallel.mesh_of(devices))


@pytest.mark.parametrize("devices", DEVICES)
@pytest.mark.parametrize("wrapper", parallel.WRAPPERS)
def test_the_devices_of_a_training_step_see_every_example_once(wrapper, devices):
    # 24 rows are a multiple of each number of devices; 31 is a multiple of nothing.
    state = jnp.zeros(31)
    for batch in itertools.islice(train_from(0, 31, 24, 5), 31):
        state, _ = counter(wrapper, devices)(state, batch)
    np.testing.assert_array_equal(state, np.full(31, 24.0))


class Identity(Model):
    outputs = ("number",)

    def __call__(self, inputs, train, targets=None):
        return Outputs({"number": inputs["number"].values[:, 0, 0]})

    def embed(self, inputs, train):
        raise NotImplementedError


class Census(Objective):
    """Sums over the examples, and what it is shown of them at the end."""

    def __call__(self, outputs, batch):
        count, number = jnp.sum(batch.weight), outputs.values["number"]
        return {
            "loss": WeightedMean(count, count),
            "first": WeightedMean(jnp.sum(batch.weight * number), count),
            "second": WeightedMean(jnp.sum(batch.weight * number**2), count),
        }

    def record(self, outputs, batch):
        truth = batch.targets["number"].values
        return {"output": outputs.values["number"], "truth": truth, "weight": batch.weight}

    def metrics(self, records, kind):
        np.testing.assert_array_equal(records["output"], np.arange(len(records["weight"])))
        np.testing.assert_array_equal(records["truth"], np.arange(len(records["weight"])))
        return {"examples": float(np.sum(records["weight"]))}

    def predictions(self, outputs, kind):
        return []


@pytest.fixture(scope="module")
def evaluators():
    """{devices: an evaluator of chunks of 3 examples}, each compiled once for all splits."""
    experiment = Experiment(
        model=Identity(encoders={}),
        objectives={"number": Census(output="number", target="number")},
        data=Splits(),
        optim=Sgd(),
        steps=1,
    )
    return {
        count: Evaluator(experiment, PREPROCESSING, parallel.mesh_of(count), 3) for count in DEVICES
    }


@drawn(20)
@given(length=st.integers(1, LONGEST))
def test_the_evaluator_counts_every_example_once_on_any_number_of_devices(evaluators, length):
    numbers = np.arange(length)
    for evaluate in evaluators.values():
        found = evaluate({}, str(length))
        assert found == {
            "loss": 1.0,
            "number/loss": 1.0,
            "number/first": numbers.sum() / length,
            "number/second": (numbers**2).sum() / length,
            "number/examples": length,
        }


@drawn(20)
@given(length=st.integers(1, LONGEST), devices=st.sampled_from([1, 2]), count=st.integers(2, 5))
def test_processes_evaluate_every_example_once_and_in_even_shares(
    evaluators, length, devices, count
):
    """... in chunks of 3; of 5 processes some have none of a short split."""
    evaluate = evaluators[devices]
    shares = [
        evaluate._measured({}, str(length), evaluate._rows(str(length), part, count))
        for part in range(count)
    ]
    rows = [sum(len(found.records["number"]["weight"]) for found in share) for share in shares]
    # Whole chunks: others would be other programs' sums.
    assert all(end % 3 == 0 or end == length for end in np.cumsum(rows))
    chunks = [-(-count // 3) for count in rows]
    assert sum(rows) == length and max(chunks) - min(chunks) <= 1 and rows[0] > 0
    expected = evaluate({}, str(length))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(others, "gathered", lambda own: shares)
        assert evaluate({}, str(length)) == expected
