import jax
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.runs import checkpoint_reader
from mmjax.runs.checkpoint import Checkpoints
from tests.train.states import state

PROGRESS = {"sums": {"match/loss": [0.1, 3.0]}, "seconds": 1.5}


@pytest.mark.parametrize("average", [False, True])
def test_a_state_comes_back_bit_for_bit_on_any_number_of_devices(tmp_path, average):
    saved = parallel.replicate(state(7, average=average), parallel.mesh_of(4))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(saved, PROGRESS, None)
    for count in (1, 8):
        sharding = parallel.replicated(parallel.mesh_of(count))
        found, progress = checkpoint_reader.restore(
            tmp_path, 7, state(0, average=average), lambda x, sharding=sharding: sharding
        )
        jax.tree.map(np.testing.assert_array_equal, found, saved)
        assert jax.tree.structure(found) == jax.tree.structure(saved)
        assert all(leaf.sharding == sharding for leaf in jax.tree.leaves(found))
        assert progress == PROGRESS


def test_what_is_evaluated_comes_back_alone_as_numpy(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(1, average=True), {}, None)
    found = checkpoint_reader.arrays(tmp_path, 1, "variables")
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(found))
    jax.tree.map(np.testing.assert_array_equal, found, state(1, average=True).variables)


@pytest.mark.parametrize("mode, best", [("min", 2), ("max", 3)])
def test_the_newest_and_the_best_are_kept_and_a_nan_costs_neither(tmp_path, mode, best):
    losses = {1: 0.5, 2: 0.1, 3: 0.9, 4: float("nan"), 5: 0.6, 6: 0.7}
    for part in ((1, 2, 3), (4, 5, 6)):  # the second is a training that goes on
        with Checkpoints(tmp_path, keep=2, best="loss", mode=mode) as checkpoints:
            for step in part:
                checkpoints.save(state(step), {}, {"loss": losses[step]})
    assert checkpoint_reader.steps(tmp_path) == [best, 5, 6]
    assert not list((tmp_path / "checkpoints" / "deleted").iterdir())
    assert checkpoint_reader.best(tmp_path, "loss", mode) == best


def test_where_nothing_was_measured_nothing_is_best(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(1), {}, None)
        checkpoints.save(state(2), {}, {"loss": float("nan")})
    assert checkpoint_reader.best(tmp_path, "loss", "min") is None


def test_saving_a_step_twice_keeps_the_first(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(2), {"seconds": 1.0}, None)
        checkpoints.wait()
        checkpoints.save(state(2), {"seconds": 2.0}, None)
    assert checkpoint_reader.record(tmp_path, 2)["progress"] == {"seconds": 1.0}


def test_a_disk_that_takes_nothing_is_an_error_that_says_what_to_do(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state(1), {}, None)
    checkpoints.wait()
    for path in (tmp_path / "checkpoints").iterdir():
        path.rename(tmp_path / path.name)
    (tmp_path / "checkpoints").rmdir()
    (tmp_path / "checkpoints").write_text("no folder any more")
    with pytest.raises(
        OSError, match=r"checkpoints: a checkpoint could not be written: .*\n.*disk"
    ):
        checkpoints.save(state(2), {}, None)
        checkpoints.wait()


def test_an_old_checkpoint_loses_its_name_before_it_is_deleted(tmp_path, monkeypatch):
    """Whoever is killed while it is deleted leaves no half one."""
    monkeypatch.setattr("shutil.rmtree", lambda folder, **options: None)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        for step in (1, 2):
            checkpoints.save(state(step), {}, None)
    assert checkpoint_reader.steps(tmp_path) == [2]
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "checkpoints" / "deleted").iterdir()] != []
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state(3), {}, None)
    assert not list((tmp_path / "checkpoints" / "deleted").iterdir())


def test_nobody_waits_for_a_save_that_another_process_will_not_finish(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(jax, "process_count", lambda: 2)
        patched.setattr(checkpoints, "close", lambda: pytest.fail("waits"))
        with pytest.raises(jax.errors.JaxRuntimeError), checkpoints:
            raise jax.errors.JaxRuntimeError("Connection closed by peer")
    checkpoints.close()
