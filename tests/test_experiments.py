"""Every experiment runs: two steps on made-up pictures of the right shapes, without its data."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from mmjax.config import Experiment, storage
from mmjax.data.match import Match
from mmjax.train.loop import train

pytestmark = pytest.mark.usefixtures("standard_promotion")
FILES = sorted((Path(__file__).parents[1] / "experiments").glob("*_match.py"))
SIDES = {"digits_match": 8, "mnist_match": 28, "fashion_match": 28}


def experiment_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert isinstance(module.experiment, Experiment)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_runs_for_two_steps(path, tmp_path, monkeypatch):
    module = experiment_of(path)
    experiment = dataclasses.replace(module.experiment, steps=2, batch_size=16)
    side = SIDES[path.stem]

    def columns(self, split):
        rng = np.random.default_rng(len(split))
        images = rng.integers(0, 256, (40, side, side, 1), np.uint8)
        return images, np.arange(40) % 10

    monkeypatch.setattr(type(experiment.data), "columns", columns)
    monkeypatch.setattr(type(experiment.data), "prepare", lambda self: None)
    assert isinstance(experiment.data, Match)
    metrics = train(experiment, tmp_path / "run")
    assert 0 <= metrics["match/accuracy"] <= 1 and np.isfinite(metrics["loss"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_is_documented_and_can_be_written_down(path):
    module = experiment_of(path)
    for word in (f"python experiments/{path.name}", "minutes", "accuracy", "seeds"):
        assert word in module.__doc__
    experiment = module.experiment
    assert storage.from_json(storage.to_json(experiment)) == experiment
