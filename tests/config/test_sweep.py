"""Numbers that trainings of one program differ in."""

import dataclasses

import pytest

from mmjax.config import sweep
from mmjax.config.sweep import Axis
from mmjax.optim import AdamW
from tests.config.experiments import SMALL, small


def test_an_axis_is_a_path_and_its_values():
    assert Axis.parse("optim.peak-lr=1e-4,0.3") == Axis("optim.peak_lr", (1e-4, 0.3))


@pytest.mark.parametrize(
    "text", ["optim.peak_lr", "optim.peak_lr=", "optim.peak_lr=a,1", "ema=nan", "ema=0.1,inf"]
)
def test_an_axis_without_numbers_is_refused(text):
    with pytest.raises(ValueError, match=f"--sweep {text}: expected a path and numbers"):
        Axis.parse(text)


def test_values_and_paths_come_once():
    with pytest.raises(ValueError, match=r"--sweep ema=1,1\.0: the values must differ"):
        Axis.parse("ema=1,1.0")
    with pytest.raises(ValueError, match="the values must differ"):
        Axis.parse("ema=0.1,0.1000000001")
    with pytest.raises(ValueError, match="--sweep: ema, ema: name each path once"):
        sweep.points([Axis("ema", (0.1,)), Axis("ema", (0.2,))])


def test_of_several_axes_every_combination_is_a_point():
    axes = [Axis("ema", (0.1, 0.2)), Axis("optim.peak_lr", (1.0, 2.0))]
    assert sweep.points(axes) == [
        {"ema": ema, "optim.peak_lr": rate} for ema in (0.1, 0.2) for rate in (1.0, 2.0)
    ]
    assert sweep.points([]) == [{}]


def test_numbers_are_changed_wherever_they_stand():
    experiment = small(optim=AdamW())
    values = {
        "optim.weight_decay": 0.5,
        "objectives.match.weight": 2.0,
        "model.encoders.text.dropout": 0.25,
        "model.modality_dropout": 0.125,
    }
    for change in (sweep.changed, sweep.traced):
        found = change(experiment, values)
        assert found.optim == AdamW(weight_decay=0.5)
        assert found.objectives["match"].weight == 2.0
        assert found.model.encoders["text"] == experiment.model.encoders["text"].clone(dropout=0.25)
        assert found.model.encoders["image"] == experiment.model.encoders["image"]
        assert found.model.modality_dropout == 0.125
        assert found.data is experiment.data
    assert experiment == small(optim=AdamW())


def test_an_unknown_number_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"--sweep optim.lr: no such number; choose .*peak_lr"):
        sweep.changed(SMALL, {"optim.lr": 1.0})
    with pytest.raises(ValueError, match=r"--sweep data.size: no such number"):
        sweep.changed(SMALL, {"data.size": 1.0})


def test_a_number_that_cannot_be_is_refused_with_its_path():
    with pytest.raises(ValueError, match=r"--sweep optim.peak_lr=0: optim.peak_lr: expected more"):
        sweep.changed(SMALL, {"optim.peak_lr": 0.0})


def test_what_no_check_can_look_at_is_put_in_as_it_is():
    anything = object()
    found = sweep.traced(SMALL, {"optim.peak_lr": anything, "ema": anything})
    assert found.optim.peak_lr is anything and found.ema is anything
    assert dataclasses.replace(found, optim=SMALL.optim, ema=SMALL.ema) == SMALL
