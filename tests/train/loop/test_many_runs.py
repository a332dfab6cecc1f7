"""Several trainings as one program: each is what it would be alone."""

import contextlib
import dataclasses
import json
import shutil

import jax
import jaxtyping
import numpy as np
import pytest

from mmjax.config.sweep import Axis
from mmjax.data.datasets import DigitsMatch
from mmjax.evaluation.evaluate import evaluate
from mmjax.optim import AdamW, Sgd
from mmjax.runs import checkpoint_reader, folder
from mmjax.train.loop import many_runs, spread
from mmjax.train.loop.fit import fit
from mmjax.train.loop.many_runs import fit_several
from tests.config.experiments import small
from tests.faults.trainee import outcome
from tests.train.step.test_step import close

pytestmark = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture(scope="module")
def together(digits_dir, tmp_path_factory):
    """(experiment, folder, metrics) of two trainings on two devices, two steps in a call."""
    experiment = small(data=DigitsMatch(data_dir=digits_dir), seed=3, steps_per_call=2)
    run = tmp_path_factory.mktemp("seeds") / "runs"
    with jax.numpy_dtype_promotion("standard"):
        found = fit_several(experiment, run, seeds=2)
        return experiment, run, [metrics for _, metrics in found]


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
    assert [row for _, row in fit_several(experiment, again, seeds=2)] == metrics
    for number in (3, 4):
        found, expected = outcome(again / f"seed-{number}"), outcome(run / f"seed-{number}")
        close(found[0], expected[0], 0.0)
        assert found[1:] == expected[1:]


AXES = [
    Axis("optim.peak_lr", (1e-3, 1e-2)),
    Axis("optim.weight_decay", (0.0, 0.1)),
    Axis("model.encoders.text.dropout", (0.0, 0.5)),
    Axis("objectives.match.weight", (0.5, 2.0)),
]


@pytest.fixture
def untyped():
    """An input of the program stands where `float` is annotated."""
    with _untyped():
        yield


@contextlib.contextmanager
def _untyped():
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def swept(digits_dir, tmp_path_factory):
    """(experiment, folder, what came of it) of the first and the last point of all axes."""
    data = DigitsMatch(data_dir=digits_dir)
    experiment = small(data=data, optim=AdamW(peak_lr=0.5), steps=4, eval_every=2, steps_per_call=2)
    run = tmp_path_factory.mktemp("sweep") / "runs"
    promotion = jax.numpy_dtype_promotion("standard")
    with pytest.MonkeyPatch.context() as patch, promotion, _untyped():
        patch.setattr(many_runs.sweep, "points", lambda axes: _ends(axes))
        return experiment, run, fit_several(experiment, run, axes=AXES)


def _ends(axes):
    return [{axis.path: axis.values[end] for axis in axes} for end in (0, -1)]


def test_every_number_is_that_trainings_own(swept, tmp_path):
    """Rate, decay, dropout and loss weight differ at once: a training alone is the same."""
    experiment, run, found = swept
    for number, (training, metrics) in enumerate(found):
        alone = many_runs.sweep.changed(experiment, _ends(AXES)[number])
        alone = dataclasses.replace(alone, parallel="jit", steps_per_call=1)
        expected = fit(alone, tmp_path / str(number))
        close(outcome(run / training.name)[0], outcome(tmp_path / str(number))[0], 1e-6)
        assert metrics == pytest.approx(expected, abs=1e-5)
        assert evaluate(run / training.name) == pytest.approx(metrics, abs=1e-6)
        stored_as = folder.require(run / training.name)
        assert stored_as.optim == alone.optim and stored_as.model == alone.model


def test_the_folders_and_the_file_say_which_numbers(swept):
    _, run, found = swept
    content = json.loads((run / many_runs.FILE).read_text())
    assert [row["values"] for row in content["runs"]] == _ends(AXES)
    first = "optim.peak_lr=0.001,optim.weight_decay=0,model.encoders.text.dropout=0,"
    assert content["runs"][0]["run"] == first + "objectives.match.weight=0.5"
    assert [point["values"] for point in content["points"]] == _ends(AXES)
    assert content["points"][0]["summary"]["loss"] == {"mean": found[0][1]["loss"]}


def test_side_by_side_they_are_the_same(swept, untyped, monkeypatch, tmp_path):
    """As GPUs and TPUs run them: by vmap, not one after the other."""
    experiment, run, found = swept
    mapped = []
    monkeypatch.setattr(jax.lax, "map", lambda f, x: mapped.append(f) or jax.vmap(f)(x))
    monkeypatch.setattr(many_runs.sweep, "points", lambda axes: _ends(axes))
    again = fit_several(dataclasses.replace(experiment, devices=1), tmp_path / "runs", axes=AXES)
    assert mapped
    for (training, metrics), (_, expected) in zip(again, found, strict=True):
        close(outcome(tmp_path / "runs" / training.name)[0], outcome(run / training.name)[0], 1e-6)
        assert metrics == pytest.approx(expected, abs=1e-5)


def test_seeds_and_numbers_together_are_every_combination():
    axes = [Axis("optim.peak_lr", (1e-3, 1e-2))]
    found = many_runs._trainings(small(seed=3), 2, axes)
    assert [training.name for training in found] == [
        "optim.peak_lr=0.001,seed-3", "optim.peak_lr=0.001,seed-4",
        "optim.peak_lr=0.01,seed-3", "optim.peak_lr=0.01,seed-4",
    ]  # fmt: skip
    points = spread.points(found, [{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}, {"loss": 5.0}])
    assert [point.summary()["loss"]["mean"] for point in points] == [1.5, 4.0]


@pytest.mark.parametrize(
    "experiment, axis, message",
    [
        (small(optim=Sgd(momentum=0.5)), Axis("optim.momentum", (0.5, 0.9)), "program itself"),
        (small(), Axis("ema", (0.0, 0.9)), r"--sweep ema=0.9: another program than the first"),
        (
            small(),
            Axis("model.encoders.text.dropout", (0.1, 1.5)),
            "to below 1, got 1.5",
        ),
    ],
)
def test_numbers_that_one_program_cannot_differ_in_are_refused(
    experiment, axis, message, untyped, digits_dir, tmp_path
):
    experiment = dataclasses.replace(experiment, data=DigitsMatch(data_dir=digits_dir))
    with pytest.raises(ValueError, match=message):
        fit_several(experiment, tmp_path / "new", axes=[axis])


def test_a_folder_name_that_no_file_system_takes_is_said_before_training(monkeypatch, tmp_path):
    monkeypatch.setattr(several, "_LONGEST", 15)
    with pytest.raises(
        ValueError, match=r"would take 19 bytes, of which 15 fit: sweep fewer paths"
    ):
        fit_several(small(), tmp_path, axes=[Axis("optim.peak_lr", (1e-3, 1e-2))])
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_is_said(together, finished, digits_dir, tmp_path):
    experiment, _, _ = together
    run, _ = finished
    with pytest.raises(ValueError, match=r"expected at least 2 trainings, got 1"):
        fit_several(experiment, tmp_path)
    with pytest.raises(ValueError, match=r"holds the run of one training; choose another"):
        fit_several(experiment, run, seeds=2)
    with pytest.raises(ValueError, match=r"--devices: 2 do not divide 3 trainings; take 1"):
        fit_several(small(data=experiment.data, devices=2), tmp_path / "new", seeds=3)
    with pytest.raises(ValueError, match=r"not with --buckets"):
        fit_several(small(data=experiment.data, buckets=2), tmp_path / "new", seeds=2)
