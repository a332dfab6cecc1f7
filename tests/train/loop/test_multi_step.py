"""K steps in one program: the same training."""

import functools
import itertools

import jax
import numpy as np
import pytest

from mmjax.data.datasets import DigitsMatch
from mmjax.data.pipeline.batches import held, train_batches, train_rows
from mmjax.data.transforms.augment import ImageAugment
from mmjax.devices import parallel
from mmjax.models.train_state import create_state
from mmjax.optim import Sgd
from mmjax.runs import log
from mmjax.train.loop import multi_step
from mmjax.train.loop.fit import fit
from mmjax.train.step.step import train_step
from mmjax.types import RowIndices
from tests.config.experiments import changed, small
from tests.faults.trainee import CLOCK, outcome
from tests.train.step.test_step import OBJECTIVES, batch, close, model

pytestmark = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture(scope="module")
def one(digits_dir, tmp_path_factory):
    run = tmp_path_factory.mktemp("one") / "run"
    with jax.numpy_dtype_promotion("standard"):
        fit(small(data=DigitsMatch(data_dir=digits_dir), devices=2), run)
    return run


@pytest.mark.parametrize("wrapper", parallel.WRAPPERS)
def test_a_training_by_calls_is_the_same(wrapper, one, digits_dir, tmp_path):
    """6 steps, 4 in a call: the second call is a short one. The columns lie on the devices.

    Not to the bit: within a loop XLA rounds some sums otherwise (3e-8).
    """
    experiment = small(data=DigitsMatch(data_dir=digits_dir), devices=2, parallel=wrapper)
    if wrapper == "jit":  # whose dropout masks are others
        one = tmp_path / "one"
        fit(experiment, one)
    fit(changed(experiment, steps_per_call=4), tmp_path / "run")
    (arrays, *rest), (expected, *those) = outcome(tmp_path / "run"), outcome(one)
    close(arrays, expected, 1e-6)
    assert rest[0] == those[0] == 6
    lines = [log.read(run / log.FILE) for run in (tmp_path / "run", one)]
    assert [sorted(line) for line in lines[0]] == [sorted(line) for line in lines[1]]
    for line, other in zip(*lines, strict=True):
        numbers = [name for name in line if name not in (*CLOCK, "split")]
        close([line[name] for name in numbers], [other[name] for name in numbers], 1e-5)


def test_on_accelerators_single_steps_read_columns_that_the_device_holds(
    one, digits_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(parallel, "accelerated", lambda: True)
    seen = []
    batch = RowIndices.batch
    monkeypatch.setattr(RowIndices, "batch", lambda *a: seen.append(1) or batch(*a))
    fit(small(data=DigitsMatch(data_dir=digits_dir), devices=2), tmp_path / "run")
    (arrays, *_), (expected, *_) = outcome(tmp_path / "run"), outcome(one)
    close(arrays, expected, 1e-6)
    assert seen


def test_data_that_are_augmented_are_sent_in_the_same_order(digits_dir):
    data = DigitsMatch(data_dir=digits_dir, augment=ImageAugment(noise=1.0))
    preprocessing, source = data.preprocessing(), data.source("train")
    assert held(data, source, preprocessing) is None
    assert held(DigitsMatch(data_dir=digits_dir, word_dropout=0.1), source, preprocessing) is None


def test_rows_are_the_batches(digits_dir, monkeypatch):
    data = DigitsMatch(data_dir=digits_dir)
    preprocessing, source = data.preprocessing(), data.source("train")
    columns = held(data, source, preprocessing)
    assert columns is not None
    make = {"batch_size": 16, "seed": 3, "start": 220, "share": (1, 2)}
    batches = train_batches(data, source, preprocessing, **make)
    rows = train_rows(source, preprocessing, **make)
    for whole, picked in itertools.islice(zip(batches, rows, strict=False), 9):  # past an epoch
        assert jax.tree.all(jax.tree.map(np.array_equal, picked.batch(columns), whole))
    batches.close()
    rows.close()
    monkeypatch.setattr("mmjax.data.pipeline.batches.MOST_HELD", 10_000)
    assert held(data, source, preprocessing) is None


def test_calls_begin_at_multiples_of_their_size():
    def numbers():
        yield from range(3, 100)

    found = list(multi_step.stacked(numbers(), start=3, steps=11, size=4))
    assert [x.tolist() for x in found] == [[3], [4, 5, 6, 7], [8, 9, 10]]


@pytest.mark.parametrize("wrapper", parallel.WRAPPERS)
def test_of_a_state_that_is_given_away_no_copy_is_left(wrapper):
    network, tx = model(), Sgd(peak_lr=0.1, warmup=0.0, momentum=0.9).chain(3)
    mesh = parallel.mesh_of(2)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx)
    update = parallel.WRAPPERS[wrapper](step, mesh, donate=True)
    kept = parallel.WRAPPERS[wrapper](step, mesh)
    state = parallel.replicate(create_state(network, tx, batch(0), seed=0), mesh)
    expected, _ = kept(state, batch(0))
    assert not any(x.is_deleted() for x in jax.tree.leaves(state))
    found, _ = update(state, batch(0))
    assert all(x.is_deleted() for x in jax.tree.leaves((state.params, state.opt_state)))
    assert jax.tree.all(jax.tree.map(np.array_equal, found.params, expected.params))


def test_a_call_must_fit_between_checkpoints():
    with pytest.raises(ValueError, match=r"--steps-per-call: expected a divisor of --eval-every 4"):
        small(steps_per_call=3)
    with pytest.raises(ValueError, match=r"--accumulate: expected a divisor of --batch-size 16"):
        small(accumulate=3)
    with pytest.raises(ValueError, match=r"over 8 devices, 4 times each \(--accumulate\): take 32"):
        parallel.choose(16, parts=4)
