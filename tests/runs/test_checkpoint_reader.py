"""Checkpoints that were damaged, or are of another model."""

import shutil
from typing import Any

import jax
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.io import json_file
from mmjax.runs import checkpoint_reader
from mmjax.runs.checkpoint import Checkpoints
from mmjax.runs.checkpoint_reader import DamagedError, MisfitError
from mmjax.runs.fingerprint import MOST_LINES, forms, misfits
from tests.train.states import state


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("whole")
    with Checkpoints(run, keep=3) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(state(step), {"seconds": 1.0}, {"loss": 1.0 / step})
    return run


@pytest.fixture
def run(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def largest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def damage(run, step, item="variables"):
    """Change one bit in the middle of an item's largest file."""
    path = largest(run / "checkpoints" / str(step) / item)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def restore(run, step, like=None):
    sharding = parallel.place(parallel.mesh_of(1))
    return checkpoint_reader.restore(run, step, state(0) if like is None else like, sharding)[0]


def resumed(run, say=print) -> Any:
    return checkpoint_reader.resumed(run, state(0), parallel.place(parallel.mesh_of(1)), say)


@pytest.mark.parametrize("item", ["variables", "training", "record"])
def test_one_changed_bit_is_an_error_that_names_the_folder_and_never_a_value(run, item):
    damage(run, 3, item)
    with pytest.raises(DamagedError, match=rf"checkpoints/3/{item}"):
        restore(run, 3)
    if item != "training":
        with pytest.raises(DamagedError, match=rf"checkpoints/3/{item}"):
            checkpoint_reader.arrays(run, 3, "variables")


def test_bytes_that_orbax_takes_for_an_array_are_held_against_their_fingerprint(run):
    """A whole item of another step: every file of it is well formed."""
    folder = run / "checkpoints"
    shutil.rmtree(folder / "3" / "variables")
    shutil.copytree(folder / "2" / "variables", folder / "3" / "variables")
    message = r"3/variables: the stored bytes are not those .* of batch_stats/encoder/mean, params"
    with pytest.raises(DamagedError, match=message):
        restore(run, 3)
    with pytest.raises(DamagedError, match=message):
        checkpoint_reader.arrays(run, 3, "variables")


def test_a_step_in_the_place_of_another_is_found_out(run):
    shutil.rmtree(run / "checkpoints" / "3")
    shutil.copytree(run / "checkpoints" / "2", run / "checkpoints" / "3")
    with pytest.raises(DamagedError, match="record/metadata: is of step 2"):
        restore(run, 3)


@pytest.mark.parametrize("name", ["record/metadata", "variables", "training"])
def test_what_is_not_there_is_named(run, name):
    path = run / "checkpoints" / "3" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DamagedError, match="checkpoints/3/" + name.split("/")[0]):
        restore(run, 3)


def test_the_checkpoint_of_a_later_version_is_refused(run):
    path = run / "checkpoints" / "3" / "record" / "metadata"
    json_file.write(path, json_file.read(path) | {"format": checkpoint_reader.FORMAT + 1})
    with pytest.raises(MisfitError, match="a later version of mmjax wrote it"):
        restore(run, 3)
    with pytest.raises(MisfitError):  # it is nothing to go back from
        resumed(run)


def test_a_training_goes_back_to_the_newest_whole_checkpoint_and_says_so(run):
    damage(run, 3)
    damage(run, 2, "record")
    said = []
    step, found, progress = resumed(run, said.append)
    assert step == 1 and progress == {"seconds": 1.0}
    jax.tree.map(np.testing.assert_array_equal, found, state(1))
    assert [line.split(" is damaged")[0] for line in said] == ["checkpoint 3", "checkpoint 2"]
    assert all("going back to step 1" in line for line in said)
    assert checkpoint_reader.steps(run) == [1, 2, 3]  # nothing is moved before a training goes on
    assert checkpoint_reader.set_aside(run, 1) == [run / "damaged" / "2", run / "damaged" / "3"]
    assert checkpoint_reader.steps(run) == [1]
    shutil.copytree(run / "damaged" / "3", run / "checkpoints" / "3")
    assert checkpoint_reader.set_aside(run, 1) == [run / "damaged" / "3-2"]
    with Checkpoints(run) as checkpoints:
        checkpoints.save(state(2), {}, None)
    jax.tree.map(np.testing.assert_array_equal, restore(run, 2), state(2))


def test_where_every_checkpoint_is_damaged_each_is_named_and_nothing_starts_anew(run):
    for step in (1, 2, 3):
        damage(run, step)
    with pytest.raises(DamagedError, match="every checkpoint is damaged") as caught:
        resumed(run)
    lines = str(caught.value).splitlines()
    assert all(f"checkpoints/{3 - i}/" in lines[1 + i] for i in range(3))
    assert checkpoint_reader.newest_whole(run) is None and checkpoint_reader.steps(run) == [1, 2, 3]


def test_the_newest_whole_checkpoint_is_found(run, tmp_path):
    assert checkpoint_reader.newest_whole(run) == 3
    damage(run, 3)
    assert checkpoint_reader.newest_whole(run) == 2
    assert checkpoint_reader.best(run, "loss", "min") == 3  # by the record, which is whole
    damage(run, 3, "record")
    with pytest.raises(DamagedError, match="3/record"):  # it might be the best
        checkpoint_reader.best(run, "loss", "min")
    assert (
        resumed(tmp_path / "empty") is None
        and checkpoint_reader.newest_whole(tmp_path / "empty") is None
    )


def test_a_damaged_checkpoint_that_is_not_needed_stops_no_training(run):
    damage(run, 1, "record")
    with Checkpoints(run, keep=1) as checkpoints:
        checkpoints.save(state(4), {}, {"loss": 1.0})
    assert checkpoint_reader.steps(run) == [3, 4]  # the best, and the newest


def test_the_checkpoint_of_another_model_is_a_misfit_and_no_damage(run):
    with pytest.raises(MisfitError) as caught:
        restore(run, 3, state(0, width=5))
    assert "does not fit this experiment:\n  params/encoder/kernel: float32[3, 4] in the" in str(
        caught.value
    )
    assert "float32[5, 4] expected" in str(caught.value)
    with pytest.raises(MisfitError):
        checkpoint_reader.resumed(
            run, state(0, width=5), parallel.place(parallel.mesh_of(1)), print
        )


def test_at_most_fifteen_lines_say_what_does_not_fit():
    ours = {f"layer_{i}": np.zeros((2, i), np.float32) for i in range(40)}
    lines = misfits(ours, forms({**ours, "layer_3": np.zeros((2, 3), np.int8)}))
    assert lines == ["layer_3: int8[2, 3] in the checkpoint, float32[2, 3] expected"]
    lines = misfits(ours, {})
    assert len(lines) == MOST_LINES + 1 == 15 and lines[-1] == "... and 26 more"
    assert lines[0] == "layer_0: absent in the checkpoint, float32[2, 0] expected"
    assert len(misfits({k: ours[k] for k in list(ours)[:15]}, {})) == 15
    assert misfits(ours, forms(ours)) == []


def test_what_the_machine_lacks_is_not_called_damage(run, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError("Permission denied")

    monkeypatch.setattr("orbax.checkpoint.Checkpointer.restore", refuse)
    with pytest.raises(OSError, match="cannot be read: Permission denied"):
        restore(run, 3)

    def exhausted(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("orbax.checkpoint.Checkpointer.restore", exhausted)
    with pytest.raises(MemoryError):
        restore(run, 3)


def test_a_record_that_cannot_be_opened_today_is_not_called_damage(run, monkeypatch):
    def refuse(path):
        raise PermissionError("Permission denied")

    monkeypatch.setattr(json_file, "read", refuse)
    with pytest.raises(PermissionError):
        resumed(run)
