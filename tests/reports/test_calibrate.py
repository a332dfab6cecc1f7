"""A run is calibrated, and predictions use it."""

import json
import shutil

import numpy as np
import pytest

from mmjax.cli.calibrate import calibrate as command
from mmjax.errors import UserError
from mmjax.evaluation.calibration import FILE, Calibration
from mmjax.evaluation.predictions import Predictor
from mmjax.reports.calibrate import _half, calibrate
from mmjax.reports.report import Report
from mmjax.reports.sections.classes import classes
from mmjax.runs.checkpoint_reader import steps

pytestmark = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture(scope="module")
def run(synergy, tmp_path_factory):
    """A copy that may be calibrated."""
    return shutil.copytree(synergy, tmp_path_factory.mktemp("calibrated") / "run")


def rows_of(run):
    source = Report(run).examined.source
    found = source.read(np.arange(20), None).inputs
    return [{name: values[i] for name, values in found.items()} for i in range(20)]


def test_predictions_are_calibrated_and_have_sets(run):
    rows = rows_of(run)
    plain = [one["label"] for one in Predictor(run)(rows)]
    assert "set" not in plain[0]
    found, measured = calibrate(run, alpha=0.2, resamples=20)
    (own,) = found.classes.values()
    after = [one["label"] for one in Predictor(run)(rows)]
    odds = [np.log(one["probability"] / (1 - one["probability"])) for one in plain]
    scaled = [np.log(one["probability"] / (1 - one["probability"])) for one in after]
    assert np.allclose(np.array(odds) / own.temperature, scaled, rtol=1e-3, atol=1e-4)
    for one in after:
        p = {"no": 1 - one["probability"], "yes": one["probability"]}
        assert one["set"] == [name for name, x in p.items() if 1 - x <= own.limits[0]]
    raw = [one["label"] for one in Predictor(run, calibrated=False)(rows)]
    assert raw == plain
    values = {row.quantity: row.value for row in measured}
    assert values["accuracy, before"] == values["accuracy, after"] > 0.9
    # 150 examples fit the sets: the coverage of a calibration varies by about 0.03.
    assert values["coverage of the sets"] > 0.7 and values["log loss, after"] < 1


def test_a_report_shows_calibrated_probabilities_and_says_so(run, tmp_path):
    (run / FILE).unlink(missing_ok=True)
    rows = np.arange(20)
    raw = Report(run)
    assert "not calibrated" in raw.probabilities
    found, _ = calibrate(run, resamples=20)
    again, _ = calibrate(run, resamples=20)  # fitted to raw probabilities, not to calibrated ones
    assert again == found
    calibrated = Report(run)
    predicted = [one["label"]["probability"] for one in Predictor(run)(rows_of(run))]
    assert np.allclose(calibrated.tasks[0].probabilities[rows, 1], predicted, atol=1e-5)
    assert not np.allclose(raw.tasks[0].probabilities[rows, 1], predicted, atol=1e-5)
    calibrated.write(tmp_path / "page.html", {"classes": classes})
    page = (tmp_path / "page.html").read_text()
    assert "calibrated by mmjax calibrate on the validation split" in page
    assert f"label by temperature {found.classes['label'].temperature:.3g}" in page
    same = Report(run, calibrated=False).tasks[0].probabilities
    assert np.array_equal(same, raw.tasks[0].probabilities)


def test_isotonic_survives_the_file(run, capsys):
    found, _ = calibrate(run, "isotonic", resamples=20)
    assert "isotonic from 150 examples: temperature is safer" in capsys.readouterr().err
    stored = Calibration.load(run)
    assert stored == found
    logits = np.array([[0.0, -3.0], [0.0, 0.1], [0.0, 5.0]])
    p = stored.classes["label"](logits)
    assert np.allclose(p.sum(axis=1), 1) and np.all(np.diff(p[:, 1]) >= 0)
    assert np.isfinite(Predictor(run)(rows_of(run))[0]["label"]["probability"])


def test_of_another_checkpoint_it_is_not_used(run, capsys):
    calibrate(run, resamples=20)
    content = json.loads((run / FILE).read_text())
    (run / FILE).write_text(json.dumps(content | {"step": 7, "checksum": None}))
    assert Predictor(run).calibration is None
    assert f"is of step 7, not of {steps(run)[-1]}: not used" in capsys.readouterr().err
    (run / FILE).write_text(json.dumps(content | {"alpha": 0.3}))
    with pytest.raises(UserError, match=r"calibration\.json: damaged"):
        Predictor(run)
    (run / FILE).write_text(json.dumps(content | {"classes": 3, "checksum": None}))
    with pytest.raises(UserError, match="not the calibration of a run"):
        Predictor(run)
    classes = content["classes"]["label"]
    for wrong in ({"temperature": None}, {"temperature": -1.0}, {"isotonic": {"knots": []}}):
        changed = {"classes": {"label": classes | wrong}, "checksum": None}
        (run / FILE).write_text(json.dumps(content | changed))
        with pytest.raises(UserError, match="not the calibration of a run"):
            Predictor(run)
    three = {"classes": {"label": classes | {"limits": [0.1] * 3}}, "checksum": None}
    (run / FILE).write_text(json.dumps(content | three))
    with pytest.raises(UserError, match="not for the number of classes"):
        Predictor(run)(rows_of(run))


def test_rows_of_a_group_stay_in_one_half(run):
    (task,) = Report(run, "validation", calibrated=False).tasks
    half = _half(task)
    assert half.sum() == len(half) // 2
    groups = [f"p{row // 7}" for row in range(300)]
    own = _half(type(task)(task.name, task.objective, task.kind, task.records, groups=groups))
    assert len({(group, bool(one)) for group, one in zip(groups, own, strict=True)}) == 43


def test_the_command_prints_before_and_after(run, capsys):
    command(run, resamples=20)
    shown = capsys.readouterr().out
    assert "calibration error, before" in shown and "coverage of the sets" in shown
    command(run, resamples=20, json=True)
    assert "label/coverage of the sets" in json.loads(capsys.readouterr().out)["test"]
    with pytest.raises(UserError, match="--alpha: expected more than 0"):
        calibrate(run, alpha=1.0)
