import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.optim import Adam
from mmjax.train import parallel
from mmjax.train.checkpoint import Checkpoints
from mmjax.train.state import create_state
from tests.train.test_step import batch, model

pytestmark = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture(scope="module")
def state():
    with jax.numpy_dtype_promotion("standard"):
        return create_state(model(), Adam().chain(5), batch(0), seed=0)


def at(state, step):
    params = jax.tree.map(lambda x: x + step, state.params)
    return dataclasses.replace(state, step=jnp.int32(step), params=params)


def test_a_state_comes_back_bit_for_bit_on_any_number_of_devices(state, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        saved = parallel.replicate(at(state, 7), parallel.mesh_of(4))
        checkpoints.save(saved, {"sums": {"match/loss": [0.1, 3.0]}, "seconds": 1.5}, None)
    for count in (1, 8):
        with Checkpoints(tmp_path) as checkpoints:
            sharding = parallel.replicated(parallel.mesh_of(count))
            found, progress = checkpoints.restore(state, 7, sharding)
        jax.tree.map(np.testing.assert_array_equal, found, saved)
        assert jax.tree.structure(found) == jax.tree.structure(saved)
        assert all(leaf.sharding == sharding for leaf in jax.tree.leaves(found))
        assert progress == {"sums": {"match/loss": [0.1, 3.0]}, "seconds": 1.5}


def test_variables_alone_come_back_as_numpy(state, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(at(state, 1), {}, None)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        found = checkpoints.arrays(1, "variables")
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(found))
    jax.tree.map(np.testing.assert_array_equal, found, at(state, 1).variables)


@pytest.mark.parametrize("mode, best", [("min", 2), ("max", 3)])
def test_the_newest_and_the_best_are_kept_and_a_nan_costs_neither(state, tmp_path, mode, best):
    losses = {1: 0.5, 2: 0.1, 3: 0.9, 4: float("nan"), 5: 0.6, 6: 0.7}
    with Checkpoints(tmp_path, keep=2, best="loss", mode=mode) as checkpoints:
        for step, loss in losses.items():
            checkpoints.save(at(state, step), {}, {"loss": loss})
    with Checkpoints(tmp_path, best="loss", mode=mode, read_only=True) as checkpoints:
        assert checkpoints.steps() == [best, 5, 6]
        assert checkpoints.best() == best and checkpoints.latest() == 6


def test_saving_a_step_twice_keeps_the_first(state, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(at(state, 2), {"seconds": 1.0}, None)
        checkpoints.save(at(state, 2), {"seconds": 2.0}, None)
        sharding = parallel.replicated(parallel.mesh_of(1))
        assert checkpoints.restore(state, 2, sharding)[1] == {"seconds": 1.0}
