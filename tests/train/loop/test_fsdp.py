"""A state in parts: the same training, and less on each device."""

import functools

import jax
import numpy as np
import pytest

from mmjax.data.datasets import DigitsMatch
from mmjax.devices import parallel, sharding
from mmjax.evaluation.evaluate import evaluate
from mmjax.models.train_state import create_state
from mmjax.optim import Sgd
from mmjax.runs import checkpoint_reader
from mmjax.train.loop.fit import fit
from mmjax.train.loop.preparation import prepare
from mmjax.train.step.step import train_step
from mmjax.types import MetricName
from tests.config.experiments import small
from tests.faults.trainee import outcome
from tests.train.step.test_step import OBJECTIVES, batch, close, model, trained

pytestmark = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture
def least(monkeypatch):
    """The tests' models are small: split arrays of 16 numbers, not of thousands."""
    monkeypatch.setattr(sharding, "LEAST", 16)


@pytest.mark.parametrize(
    "shape, parts, axis",
    [
        ((10_000, 64), 4, 0), ((64, 10_000), 4, 1), ((128, 128), 4, 1), ((8193, 3), 4, None),
        ((4, 4), 4, None), ((10_000, 64), 1, None), ((), 4, None),
    ],
)  # fmt: skip
def test_the_longest_axis_that_can_be_is_split(shape, parts, axis):
    assert sharding.axis_of(shape, parts) == axis


def held(state, device):
    """Bytes of a state on one device."""
    return sum(
        shard.data.nbytes
        for x in jax.tree.leaves(state)
        for shard in x.addressable_shards
        if shard.device == device
    )


def test_the_update_is_that_of_whole_states_and_a_device_holds_less(least):
    network = model()
    tx = Sgd(peak_lr=0.2, schedule="constant", warmup=0.0, momentum=0.9).chain(20)
    mesh = parallel.choose(16, fsdp=4)
    assert dict(mesh.shape) == {"data": 2, "fsdp": 4}
    fresh = create_state(network, tx, batch(0), seed=0)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx)
    update = parallel.jit(step, mesh, donate=True, like=jax.eval_shape(lambda: fresh))
    state = sharding.put(fresh, mesh)
    for number in range(20):
        state, sums = update(state, batch(number))
    expected, losses = trained("jit", 1, 20)
    close(state.params, expected.params, 1e-5)
    close(float(sums[MetricName("match", "loss")].mean()), losses[-1], 1e-5)
    whole, part = held(expected, jax.devices()[0]), held(state, jax.devices()[0])
    assert part < 0.45 * whole, (part, whole)


def test_checkpoints_move_between_all_layouts(least, digits_dir, tmp_path):
    """Trained in parts, gone on with in other parts, whole, and evaluated on one device."""
    data = DigitsMatch(data_dir=digits_dir)
    experiment = small(data=data, parallel="jit", fsdp=4)
    metrics = fit(experiment, tmp_path / "parts")
    fit(small(data=data, parallel="jit"), tmp_path / "whole")
    found, expected = outcome(tmp_path / "parts"), outcome(tmp_path / "whole")
    close(found[0], expected[0], 1e-6)
    assert evaluate(tmp_path / "parts") == pytest.approx(metrics, abs=1e-6)
    ready = prepare(small(data=data, parallel="jit"), tmp_path / "whole")
    like, mesh = ready.fresh, ready.trainer.mesh
    whole, _ = checkpoint_reader.restore(tmp_path / "parts", 6, like, sharding.place(mesh))
    for fsdp in (2, 8):
        mesh = parallel.choose(16, fsdp=fsdp)
        state, _ = checkpoint_reader.restore(tmp_path / "parts", 6, like, sharding.place(mesh))
        close(sharding.on_host(state), sharding.on_host(whole), 0.0)
        split = [x for x in jax.tree.leaves(state) if not x.sharding.is_fully_replicated]
        assert split and all(x.addressable_shards[0].data.size * fsdp == x.size for x in split)


def test_what_is_split_is_shown():
    state = {"embedding": np.zeros((10_000, 64), np.float32), "bias": np.zeros(64, np.float32)}
    shown = sharding.summary(state, 4)
    assert shown == "--fsdp 4: 1 of 2 arrays are split; a device holds 0.6 of 2.4 MiB"


def test_it_needs_jit_and_a_divisor_of_the_devices():
    with pytest.raises(ValueError, match=r"--fsdp: .* needs --parallel jit"):
        small(fsdp=2)
    with pytest.raises(ValueError, match=r"--fsdp 3: expected a divisor of the number of devices"):
        parallel.choose(16, fsdp=3)
