import json
import sys

import pytest

from mmjax.config import storage
from mmjax.data.datasets import DigitsMatch
from mmjax.errors import UserError
from mmjax.runs import folder
from tests.config.experiments import SMALL, small


def test_a_new_or_empty_folder_is_anybodys(tmp_path):
    folder.check(tmp_path / "new", SMALL)
    folder.check(tmp_path, SMALL)
    folder.claim(tmp_path / "new", SMALL, 8, print)
    folder.check(tmp_path / "new", SMALL)
    assert folder.require(tmp_path / "new") == SMALL


def test_another_experiment_is_refused_with_what_differs_and_nothing_is_overwritten(tmp_path):
    folder.claim(tmp_path, SMALL, 8, print)
    before = (tmp_path / folder.CONFIG).read_bytes()
    with pytest.raises(
        ValueError,
        match="another experiment:\n  batch_size: 16 there, 32 here\n  seed: 0 there, 5 here\nNoth",
    ):
        folder.check(tmp_path, small(seed=5, batch_size=32))
    assert (tmp_path / folder.CONFIG).read_bytes() == before


def test_the_same_experiment_on_other_devices_goes_on_and_says_so(tmp_path):
    folder.claim(tmp_path, SMALL, 8, print)
    folder.check(tmp_path, small(devices=4, parallel="jit"))
    said = []
    folder.claim(tmp_path, SMALL, 4, said.append)
    assert said == [
        "devices changed from 8 to 4 since this run began: it goes on, but not bit for bit"
    ]


def test_another_wrapper_goes_on_and_says_so(tmp_path):
    folder.claim(tmp_path, small(parallel="pmap"), 8, print)
    said = []
    folder.claim(tmp_path, small(parallel="jit"), 8, said.append)
    assert len(said) == 1 and said[0].startswith("parallel changed from pmap to jit")


def test_a_start_that_was_killed_half_way_is_finished(tmp_path):
    (tmp_path / ".draft-config.json").write_text('{"form')
    folder.check(tmp_path, SMALL)
    folder.claim(tmp_path, SMALL, 8, print)
    (tmp_path / folder.ENVIRONMENT).unlink()
    folder.check(tmp_path, SMALL)
    folder.claim(tmp_path, SMALL, 8, print)
    assert {path.name for path in tmp_path.iterdir()} == {folder.CONFIG, folder.ENVIRONMENT}


def test_a_damaged_environment_stops_nothing(tmp_path):
    folder.claim(tmp_path, SMALL, 8, print)
    (tmp_path / folder.ENVIRONMENT).write_text("{")
    said = []
    folder.claim(tmp_path, SMALL, 8, said.append)
    assert len(said) == 1 and "environment.json: not a JSON file" in said[0]
    folder.claim(tmp_path, SMALL, 8, pytest.fail)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="is a file; choose a folder with --workdir"):
        folder.check(tmp_path / "run", SMALL)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"holds other files and no config\.json; choose"):
        folder.check(tmp_path, SMALL)


def test_what_is_not_a_run_is_not_restored(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run: it has no config\.json"):
        folder.require(tmp_path)


def test_the_environment_is_written_down(tmp_path):
    folder.claim(tmp_path, SMALL, 8, print)
    found = json.loads((tmp_path / folder.ENVIRONMENT).read_text())
    assert found["seed"] == 0 and found["devices"] == 8 and found["platform"] == "cpu"
    assert set(folder.PACKAGES) == set(found["packages"])
    assert {"python", "cores", "git_commit", "command"} <= set(found)
    assert storage.load(tmp_path / folder.CONFIG) == SMALL


def test_what_is_written_down_names_no_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/lovelace")
    monkeypatch.setattr(sys, "argv", ["x.py", "--data.data-dir=/home/lovelace/data"])
    experiment = small(data=DigitsMatch(data_dir="/home/lovelace/data"))
    folder.claim(tmp_path, experiment, 8, print)
    for path in tmp_path.iterdir():
        assert "lovelace" not in path.read_text() and "~/data" in path.read_text()
    assert folder.require(tmp_path) == experiment


@pytest.mark.parametrize("name", ["r[1]", "a\\b", "what?", "all*"])
def test_a_path_that_checkpoints_could_not_be_read_back_from_is_refused(tmp_path, name):
    for run in (tmp_path / name, tmp_path / name / "run"):
        with pytest.raises(UserError, match="cannot be read back; choose another --workdir"):
            folder.check(run, SMALL)


def test_the_examples_of_an_evaluation_are_those_of_a_devices_part_of_a_batch(tmp_path):
    assert folder.chunk(tmp_path) == folder.CHUNK  # of older versions
    folder.claim(tmp_path, small(accumulate=2), 4, print)
    assert folder.chunk(tmp_path) == 16 // (4 * 2)


def test_what_changes_last_digits_is_said_when_a_run_goes_on(tmp_path):
    folder.claim(tmp_path, SMALL, 8, print)
    said = []
    folder.claim(tmp_path, small(accumulate=2, buckets=2), 8, said.append)
    assert [text.split(" since")[0] for text in said] == [
        "accumulate changed from 1 to 2", "buckets changed from 1 to 2",
    ]  # fmt: skip
