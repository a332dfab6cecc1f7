"""Several trainings as one program: each is what it would be alone."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from mmjax.config.command_line import parse
from mmjax.config.sweep import Point
from mmjax.data.datasets import DigitsMatch
from mmjax.errors import UserError
from mmjax.evaluation.evaluate import evaluate
from mmjax.runs import checkpoint_reader, folder
from mmjax.train.loop import many_runs
from mmjax.train.loop.fit import fit
from mmjax.train.loop.many_runs import fit_many
from tests.config.experiments import changed, small
from tests.faults.trainee import outcome
from tests.train.step.test_step import close

pytestmark = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture(scope="module")
def together(digits_dir, tmp_path_factory):
    """(experiment, folder, metrics) of two trainings on two devices, two steps in a call."""
    experiment = small(data=DigitsMatch(data_dir=digits_dir), seed=3, steps_per_call=2)
    run = tmp_path_factory.mktemp("seeds") / "runs"
    with jax.numpy_dtype_promotion("standard"):
        found = fit_many([Point({}, experiment)], run, seeds=2)
        return experiment, run, [one.metrics for one in found]


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
    content = json.loads((run / many_runs.FILE).read_text())
    assert [row["seed"] for row in content["runs"]] == [3, 4]
    assert [row["run"] for row in content["runs"]] == ["seed-3", "seed-4"]
    losses = [row["loss"] for row in metrics]
    (point,) = content["points"]
    of = point["summary"]["loss"]
    assert of["mean"] == pytest.approx(np.mean(losses))
    # Student's t with one degree of freedom: 12.706 at 97.5 %.
    half = 12.7062 * np.std(losses, ddof=1) / np.sqrt(2)
    assert of["high"] - of["mean"] == pytest.approx(half, rel=1e-4)


def test_all_go_on_from_the_newest_step_that_all_have(together, tmp_path):
    """One had saved its last checkpoint when the process was killed, the other had not."""
    experiment, run, metrics = together
    again = tmp_path / "runs"
    shutil.copytree(run, again)
    shutil.rmtree(again / "seed-4" / checkpoint_reader.FOLDER / "6")
    (again / "seed-4" / folder.RESULTS).unlink()
    found = fit_many([Point({}, experiment)], again, seeds=2)
    assert [one.metrics for one in found] == metrics
    for number in (3, 4):
        found, expected = outcome(again / f"seed-{number}"), outcome(run / f"seed-{number}")
        close(found[0], expected[0], 0.0)
        assert found[1:] == expected[1:]


def test_side_by_side_they_are_the_same(together, monkeypatch, tmp_path):
    """As GPUs and TPUs run them: by vmap, not one after the other."""
    experiment, _, metrics = together
    mapped = []
    monkeypatch.setattr(jax.lax, "map", lambda f, x: mapped.append(f) or jax.vmap(f)(x))
    again = [Point({}, changed(experiment, devices=1))]
    for one, expected in zip(fit_many(again, tmp_path / "runs", seeds=2), metrics, strict=True):
        assert one.metrics == pytest.approx(expected, abs=1e-5)
    assert mapped


@pytest.fixture(scope="module")
def swept(digits_dir, tmp_path_factory):
    """(points, folder, results) of a sweep over a choice and a number, as of a command line."""
    experiment = small(data=DigitsMatch(data_dir=digits_dir), steps=2, eval_every=2, devices=2)
    arguments = ["--sweep", "model.fusion=concat,sum", "optim.peak-lr=1e-3"]
    points = parse(experiment, Path("runs"), arguments, "").points
    run = tmp_path_factory.mktemp("sweep") / "runs"
    with jax.numpy_dtype_promotion("standard"):
        return points, run, fit_many(points, run)


def test_every_point_is_an_ordinary_run(swept):
    points, run, found = swept
    names = [f"model.fusion={name},optim.peak_lr=1e-3" for name in ("concat", "sum")]
    assert [one.name for one in found] == names
    for point, one in zip(points, found, strict=True):
        assert folder.require(run / one.name) == point.experiment
        assert evaluate(run / one.name) == pytest.approx(one.metrics, abs=1e-6)


def test_another_sweep_in_the_folder_keeps_the_summary_of_the_first(swept, monkeypatch):
    """And what has its results is not trained again."""
    points, run, found = swept
    more = changed(points[1].experiment, seed=5)
    other = Point({"seed": "5"}, more)
    again = fit_many([points[0], other], run)
    assert again[0] == found[0]
    content = json.loads((run / many_runs.FILE).read_text())
    assert [row["run"] for row in content["runs"]] == [*(one.name for one in found), "seed=5"]
    monkeypatch.setattr(many_runs, "fit", pytest.fail)
    assert fit_many([points[0], other], run) == again


def test_seeds_and_points_together_are_every_combination():
    points = [Point({"optim.peak_lr": rate}, small(seed=3)) for rate in ("1e-3", "1e-2")]
    names = [many_runs._training(p, number, 2, 2)[0] for p in points for number in (0, 1)]
    assert names == [
        "optim.peak_lr=1e-3,seed-3", "optim.peak_lr=1e-3,seed-4",
        "optim.peak_lr=1e-2,seed-3", "optim.peak_lr=1e-2,seed-4",
    ]  # fmt: skip
    assert many_runs.summary([{"loss": 1.0}, {"loss": 2.0}])["loss"]["mean"] == 1.5


def test_a_folder_name_that_no_file_system_takes_is_said_before_training(monkeypatch, tmp_path):
    monkeypatch.setattr(many_runs, "_LONGEST", 15)
    points = [Point({"seed": number}, small()) for number in "12"]
    with pytest.raises(UserError, match=r"would take 22 bytes, of which 15 fit: sweep fewer paths"):
        fit_many(points, tmp_path)
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_is_said(together, finished, tmp_path):
    experiment, _, _ = together
    run, _ = finished

    def seeds(count, run=tmp_path / "new", **changes):
        return fit_many([Point({}, changed(experiment, **changes))], run, seeds=count)

    with pytest.raises(UserError, match=r"expected at least 2 trainings, got 1"):
        seeds(1)
    with pytest.raises(UserError, match=r"holds the run of one training; choose another"):
        seeds(2, run)
    with pytest.raises(UserError, match=r"--devices: 2 do not divide 3 trainings; take 1"):
        seeds(3, devices=2)
    with pytest.raises(UserError, match=r"not with --buckets"):
        seeds(2, buckets=2, steps_per_call=1)
