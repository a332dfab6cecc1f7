"""Every experiment runs: two steps on made-up pictures of the right shapes, without its data."""

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmjax.config import Experiment, storage
from mmjax.data.match import Match
from mmjax.train.loop import fit

pytestmark = pytest.mark.usefixtures("standard_promotion", "beside")
FILES = sorted((Path(__file__).parents[1] / "experiments").glob("*_match.py"))
SIDES = {"digits_match": 8, "mnist_match": 28, "fashion_match": 28}


@pytest.fixture
def beside(monkeypatch):
    """A script finds the files beside it."""
    monkeypatch.syspath_prepend(str(FILES[0].parent))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert isinstance(module.experiment, Experiment)
    return module


def made_up(data, side, monkeypatch):
    """Random pictures in the place of the data set's own."""
    assert isinstance(data, Match)

    def columns(self, split):
        rng = np.random.default_rng(len(split))
        images = rng.integers(0, 256, (40, side, side, 1), np.uint8)
        return images, np.arange(40) % 10

    monkeypatch.setattr(type(data), "columns", columns)
    monkeypatch.setattr(type(data), "prepare", lambda self: None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_runs_for_two_steps(path, tmp_path, monkeypatch):
    module = load(path)
    experiment = dataclasses.replace(module.experiment, steps=2, batch_size=16)
    made_up(experiment.data, SIDES[path.stem], monkeypatch)
    metrics = fit(experiment, tmp_path / "run")
    assert 0 <= metrics["match/accuracy"] <= 1 and np.isfinite(metrics["loss"])


def test_the_throughput_is_measured(monkeypatch, capsys):
    folder = FILES[0].parent
    module = load(folder / "throughput.py")
    made_up(module.experiment.data, 28, monkeypatch)
    module.main(steps=2)
    printed = capsys.readouterr().out
    assert "pipeline " in printed and "training " in printed and "times as fast" in printed


@pytest.mark.parametrize("path", sorted(FILES[0].parent.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_starts_in_a_process_of_its_own(path):
    """Where nothing has been imported before it."""
    command = [sys.executable, str(path), "--help"]
    assert "usage: " in subprocess.check_output(command, text=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_is_documented_and_can_be_written_down(path):
    module = load(path)
    for word in (f"python experiments/{path.name}", "minutes", "accuracy", "seeds"):
        assert word in module.__doc__
    experiment = module.experiment
    assert storage.from_json(storage.to_json(experiment)) == experiment
