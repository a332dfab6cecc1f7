"""Sweeps: every combination of fields and choices, each an experiment of its own."""

import dataclasses
from pathlib import Path

import pytest

from mmjax.config.command_line import parse
from mmjax.config.sweep import Axis, combinations
from mmjax.fusion import Concat, Late, Mult
from mmjax.objectives import BinaryCrossEntropy
from mmjax.optim import Adam, AdamW
from tests.config.experiments import SMALL


def command(*arguments):
    return parse(SMALL, Path("runs/x"), arguments, "An experiment.")


def swept(*arguments):
    """{name: experiment} of every point."""
    return {point.name: point.experiment for point in command(*arguments).points}


def test_an_axis_is_a_path_and_its_values():
    assert Axis.parse("optim.peak-lr=1e-4, 0.3") == Axis("optim.peak_lr", ("1e-4", "0.3"))


@pytest.mark.parametrize("text", ["optim.peak_lr", "optim.peak_lr=", "=1", "ema=0.1,,0.2"])
def test_an_axis_without_values_is_refused(text):
    with pytest.raises(ValueError, match=f"--sweep {text}: expected a path and values, such as"):
        Axis.parse(text)


def test_values_and_paths_come_once():
    with pytest.raises(ValueError, match=r"--sweep ema=0\.1,0\.1: the values must differ"):
        Axis.parse("ema=0.1,0.1")
    with pytest.raises(ValueError, match="--sweep: ema, ema: name each path once"):
        combinations([Axis("ema", ("0.1",)), Axis("ema", ("0.2",))])


def test_of_several_axes_every_combination_is_a_point():
    axes = [Axis("ema", ("0.1", "0.2")), Axis("model.fusion", ("sum", "mult"))]
    assert combinations(axes) == [
        {"ema": ema, "model.fusion": fusion} for ema in ("0.1", "0.2") for fusion in ("sum", "mult")
    ]
    assert combinations([]) == [{}]


def test_a_point_is_what_its_values_make_on_the_command_line():
    found = swept("--ema", "0.5", "--sweep", "optim.peak-lr=1e-4,3e-4", "model.fusion=concat,mult")
    assert list(found) == [
        f"optim.peak_lr={rate},model.fusion={fusion}"
        for rate in ("1e-4", "3e-4") for fusion in ("concat", "mult")
    ]  # fmt: skip
    model = dataclasses.replace(SMALL.model, fusion=Mult())
    expected = dataclasses.replace(SMALL, model=model, optim=Adam(peak_lr=3e-4), ema=0.5)
    assert found["optim.peak_lr=3e-4,model.fusion=mult"] == expected
    assert found["optim.peak_lr=1e-4,model.fusion=concat"].model.fusion == Concat()


def test_a_sweep_goes_over_what_else_the_command_line_says():
    found = swept("optim:sgd", "--optim.peak-lr", "0.5", "--sweep", "optim=adam,adamw", "seed=1,2")
    assert found["optim=adamw,seed=2"].optim == AdamW(peak_lr=0.5)
    assert found["optim=adam,seed=1"].optim == Adam(peak_lr=0.5)
    assert [experiment.seed for experiment in found.values()] == [1, 2, 1, 2]


def test_values_of_fields_may_be_words_lists_truth_values_and_names_of_classes():
    found = swept(
        "model.fusion:late", "--sweep", "model.fusion.weights=mean,learned", "remat=true,false",
        "model.encoders.text.bidirectional=true,false", "model.encoders.image.features=4,4 8",
    )  # fmt: skip
    point = (
        "model.fusion.weights=mean,remat={},model.encoders.text.bidirectional={},"
        "model.encoders.image.features={}"
    )
    one, other = (
        found[point.format("true", "true", "4 8")],
        found[point.format("false", "false", 4)],
    )
    assert one.model.fusion == other.model.fusion == Late(weights="mean")
    assert one.compute.remat and not other.compute.remat
    assert one.model.encoders["text"].bidirectional
    assert not other.model.encoders["text"].bidirectional
    assert one.model.encoders["image"].features == (4, 8)
    assert other.model.encoders["image"].features == (4,)


def test_sweeps_go_with_seeds_and_a_slash_makes_no_folder():
    found = command("--sweep", "data.data-dir=a/b,c", "--seeds", "2")
    assert found.seeds == 2 and found.many
    assert [point.name for point in found.points] == ["data.data_dir=a_b", "data.data_dir=c"]
    assert found.points[0].experiment.data.data_dir == "a/b"
    objective = BinaryCrossEntropy(output="match", target="match", pos_weight=2.0)
    (_, last) = swept("--sweep", "objectives.match.pos-weight=1,2").values()
    assert last.objectives == {"match": objective}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["optim.peak-lr"], "--sweep optim.peak-lr: expected a path and values, such as"),
        (["optim.lr=1,2"], "--optim.lr"),
        (["model.fusion=mul,concat"], "model.fusion:mult"),
        (["optim.peak-lr=0,1"], "optim.peak_lr: expected more than 0, got 0"),
        (["steps=many,1"], "invalid"),
        (["seed=1,2", "--profile", "1:2"], "--profile: goes with one training"),
        (["seed=1,2", "--seeds", "0"], "--seeds: expected at least 1, got 0"),
    ],
)
def test_a_sweep_that_cannot_be_ends_the_process_with_advice(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        command("--sweep", *arguments)
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert message in " ".join((printed.out + printed.err).replace("│", " ").split())
