"""Trainings with several seeds, as one program: each is what it would be alone."""

import json
import shutil

import jax
import numpy as np
import pytest

from mmjax.data.datasets import DigitsMatch
from mmjax.evaluation.evaluate import evaluate
from mmjax.train import folder, seeds, stored
from mmjax.train.loop import fit
from mmjax.train.seeds import fit_seeds
from tests.config.experiments import small
from tests.faults.trainee import outcome
from tests.train.test_step import close

pytestmark = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture(scope="module")
def together(digits_dir, tmp_path_factory):
    """(experiment, folder, metrics) of two trainings on two devices, two steps in a call."""
    experiment = small(data=DigitsMatch(data_dir=digits_dir), seed=3, steps_per_call=2)
    run = tmp_path_factory.mktemp("seeds") / "runs"
    with jax.numpy_dtype_promotion("standard"):
        return experiment, run, fit_seeds(experiment, run, 2)


def test_each_is_the_training_with_that_seed(together, digits_dir, tmp_path):
    experiment, run, metrics = together
    alone = small(data=experiment.data, seed=4, parallel="jit")
    fit(alone, tmp_path / "alone")
    expected, found = outcome(tmp_path / "alone"), outcome(run / "seed-4")
    close(found[0], expected[0], 1e-6)
    assert folder.require(run / "seed-4").seed == 4
    assert metrics[0] != metrics[1]


def test_any_one_is_restored_like_any_run(together):
    _, run, metrics = together
    for number, expected in zip((3, 4), metrics, strict=True):
        assert evaluate(run / f"seed-{number}") == pytest.approx(expected, abs=1e-6)


def test_means_and_intervals_stand_beside_them(together):
    _, run, metrics = together
    content = json.loads((run / seeds.FILE).read_text())
    assert [row["seed"] for row in content["runs"]] == [3, 4]
    losses = [row["loss"] for row in metrics]
    of = content["summary"]["loss"]
    assert of["mean"] == pytest.approx(np.mean(losses))
    # Student's t with one degree of freedom: 12.706 at 97.5 %.
    half = 12.7062 * np.std(losses, ddof=1) / np.sqrt(2)
    assert of["high"] - of["mean"] == pytest.approx(half, rel=1e-4)


def test_all_go_on_from_the_newest_step_that_all_have(together, tmp_path):
    """One had saved its last checkpoint when the process was killed, the other had not."""
    experiment, run, metrics = together
    again = tmp_path / "runs"
    shutil.copytree(run, again)
    shutil.rmtree(again / "seed-4" / stored.FOLDER / "6")
    (again / "seed-4" / folder.RESULTS).unlink()
    assert fit_seeds(experiment, again, 2) == metrics
    for number in (3, 4):
        found, expected = outcome(again / f"seed-{number}"), outcome(run / f"seed-{number}")
        close(found[0], expected[0], 0.0)
        assert found[1:] == expected[1:]


def test_what_cannot_be_is_said(together, finished, digits_dir, tmp_path):
    experiment, _, _ = together
    run, _ = finished
    with pytest.raises(ValueError, match=r"--seeds: expected at least 2, got 1"):
        fit_seeds(experiment, tmp_path, 1)
    with pytest.raises(ValueError, match=r"holds the run of one seed; choose another --workdir"):
        fit_seeds(experiment, run, 2)
    with pytest.raises(ValueError, match=r"--devices: 2 do not divide --seeds 3; take 1"):
        fit_seeds(small(data=experiment.data, devices=2), tmp_path / "new", 3)
    with pytest.raises(ValueError, match=r"not with --buckets"):
        fit_seeds(small(data=experiment.data, buckets=2), tmp_path / "new", 2)
