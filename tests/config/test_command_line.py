import dataclasses
from pathlib import Path

import pytest

from mmjax.balance import Blend, OgmGe
from mmjax.config import Compute, Experiment, Keeping
from mmjax.config.command_line import parse
from mmjax.config.registry import fields, tags
from mmjax.config.span import Span
from mmjax.data.datasets import TableData
from mmjax.data.tables import columns
from mmjax.encoders import Lstm
from mmjax.fusion import Concat, CrossAttention, Sum
from mmjax.imputation import Generated
from mmjax.objectives import BinaryCrossEntropy, SoftmaxCrossEntropy
from mmjax.optim import Adam, Sgd
from tests.config.experiments import SMALL, small


def parsed(*arguments, experiment=SMALL):
    """The one experiment that these arguments make, and the folder of its run."""
    command = parse(experiment, Path("runs/x"), arguments, "An experiment.")
    (point,) = command.points
    assert point.name == "" and not command.many
    return point.experiment, command.run


def test_what_is_profiled_is_no_part_of_the_experiment():
    arguments = ["--profile", "10:20"]
    command = parse(SMALL, Path("runs/x"), arguments, "An experiment.")
    assert command.points[0].experiment == SMALL
    assert command.profile == Span(10, 20) and str(command.profile) == "10:20"
    assert parse(SMALL, Path("runs/x"), [], "An experiment.").profile is None


def test_without_arguments_the_experiment_is_what_the_file_says():
    assert parsed() == (SMALL, Path("runs/x"))


def test_flags_change_fields_and_choices_change_classes_in_any_order():
    experiment, workdir = parsed(
        "--steps", "9", "model.fusion:cross_attention", "--optim.momentum", "0.5",
        "--model.fusion.heads", "2", "optim:sgd", "--data.augment.shift", "1.5",
        "--model.encoders.text.dim", "5", "--workdir", "there",
    )  # fmt: skip
    assert workdir == Path("there")
    assert experiment.steps == 9
    assert experiment.model.fusion == CrossAttention(heads=2)
    assert experiment.optim == Sgd(momentum=0.5)
    assert experiment.data.augment.shift == 1.5
    assert experiment.model.encoders["text"] == dataclasses.replace(
        SMALL.model.encoders["text"], dim=5
    )
    assert experiment.model.encoders["image"] == SMALL.model.encoders["image"]


def test_a_choice_that_the_file_made_keeps_its_values():
    experiment, _ = parsed("optim:adam", "--optim.b1", "0.8")
    assert experiment.optim == Adam(peak_lr=1e-2, b1=0.8)


def test_one_encoder_may_take_the_place_of_another():
    experiment, _ = parsed("model.encoders.image:lstm", "--model.encoders.image.dim", "3")
    assert experiment.model.encoders["image"] == Lstm(dim=3)
    assert experiment.model.fusion == Concat()


def test_a_value_that_looks_like_a_choice_stays_a_value():
    assert parsed("--workdir", "data:table", "--steps", "9")[1] == Path("data:table")
    experiment, _ = parsed("--data.file", "model.fusion:mult", "--data.group", "c", "data:table")
    assert experiment.data == TableData(file="model.fusion:mult", group="c")
    assert experiment.model.fusion == Concat()
    # A flag that is yes or no takes no value, and what follows it may be a choice.
    experiment, _ = parsed("--remat", "model.fusion:sum", "--no-tensorboard", "optim:sgd")
    assert experiment.compute.remat and experiment.model.fusion == Sum()
    assert experiment.optim == Sgd(peak_lr=1e-3)


def test_columns_are_said_by_kind_and_their_options_by_flags():
    experiment, _ = parsed(
        "--data.columns", "image:image", "words=caption:text", "age,bmi:table", "kind:class",
        "data:table", "--data.columns.image.size", "8", "9", "--data.columns.kind.unknown",
        "missing", "--steps", "9",
    )  # fmt: skip
    assert experiment.steps == 9
    assert experiment.data.columns == {
        "image": columns.ImageColumn(size=(8, 9)),
        "words": columns.TextColumn(("caption",)),
        "table": columns.TableColumn(("age", "bmi")),
        "kind": columns.ClassColumn(unknown="missing"),
    }
    again, _ = parsed("--data.columns", "text:text", "--data.columns.text.max-words", "3",
                      experiment=experiment)  # fmt: skip
    assert again.data.columns == {"text": columns.TextColumn(max_words=3)}
    # The names of what they read: a picture in DICOM, rows in shards.
    scans, _ = parsed("data:shards", "--data.file", "a.tar", "--data.columns", "scan:dicom")
    assert scans.data == TableData(file="a.tar", columns={"scan": columns.ImageColumn()})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data:table", "--data.columns", "image:photo"], "the kinds are image, text, table"),
        (["data:table", "--data.columns"], "expected COLUMN:KIND, such as image:image"),
        (["--data.columns", "image:image"], "goes with data:table"),
        (["data:table", "--data.columns", "a,b:text"], "only a table is made of several"),
        (["data:table", "--data.columns", "a:text", "a:class"], "'a' is there twice"),
    ],
)
def test_columns_that_cannot_be_are_named(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        parsed(*arguments)
    assert message in capsys.readouterr().err


def test_what_is_on_in_the_file_can_be_switched_off():
    text = SMALL.model.encoders["text"].clone(bidirectional=True)
    encoders = {**SMALL.model.encoders, "text": text}
    model = dataclasses.replace(SMALL.model, encoders=encoders)
    given = small(model=model, optim=Sgd(momentum=0.5, nesterov=True))
    arguments = ("--model.encoders.text.no-bidirectional", "--optim.no-nesterov")
    experiment, _ = parsed(*arguments, experiment=given)
    assert experiment == small(optim=Sgd(momentum=0.5))


def test_no_flag_is_yes_or_no_in_one_class_and_takes_a_text_in_another():
    kinds = [Compute, Keeping, Experiment, *(cls for _, cls in tags())]
    hints = [(f.name, f.type) for kind in kinds for f in fields(kind)]
    switches = {name for name, kind in hints if kind is bool}
    assert not [(n, kind) for n, kind in hints if n in switches and kind not in (bool, float, int)]


def test_how_it_is_computed_and_kept_needs_no_prefix():
    experiment, _ = parsed(
        "--devices", "2", "--eval-every", "10", "--remat", "--accumulate", "2", "--tensorboard"
    )
    assert experiment == small(devices=2, eval_every=10, remat=True, accumulate=2, tensorboard=True)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--stepz", "3"], "--steps"),
        (["model.fusion:cross_attenton"], "model.fusion:cross-attention"),
        (["--batch-size", "0"], "--batch-size: expected at least 1, got 0"),
        (["--steps", "many"], "invalid"),
        (["--parallel", "magic"], "jit"),
        (["--profile", "20"], "--profile: expected the first and the last step, such as 10:20"),
        (["--profile", "20:10"], "--profile: expected the first and the last step"),
        (["--profile", "0:10"], "--profile: expected the first and the last step"),
    ],
)
def test_a_wrong_command_line_ends_with_advice(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed(*arguments)
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert message in " ".join((printed.out + printed.err).replace("│", " ").split())


def test_help_explains_the_flags_and_shows_defaults(capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed("--help", experiment=small(seed=41))
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert stopped.value.code == 0
    for text in (
        "examples per step, over all devices (default: 16)",
        "(default: 41)",
        "the run's folder; the same command goes on with what is in it",
        "channels of each 3x3 convolution",
        "highest learning rate (default: 0.01)",
        "chance of each modality to be hidden in training",
        "• model.fusion:cross-attention",
        "largest shift in pixels, up or down",
    ):
        assert text in printed


def test_what_is_missing_and_what_balances_are_choices_too():
    experiment, _ = parsed(
        "model.imputation:generated", "--model.imputation.weight", "0.5", "balance:ogm_ge",
        "--model.unimodal", "probe", "--balance.alpha", "0.2", "--model.modality-dropout", "0.3",
    )  # fmt: skip
    assert experiment.model.imputation == Generated(weight=0.5)
    assert experiment.balance == OgmGe(alpha=0.2)
    assert experiment.model.modality_dropout == 0.3
    experiment, _ = parsed(
        "balance:blend", "--model.unimodal", "train", "--balance.weights", "image", "0.3"
    )
    assert experiment.balance == Blend(weights={"image": 0.3})


def test_a_balance_that_needs_heads_for_single_modalities_says_so(capsys):
    with pytest.raises(SystemExit):
        parsed("balance:ogm_ge")
    printed = capsys.readouterr()
    assert "expected --model.unimodal probe, got none" in " ".join(
        (printed.out + printed.err).replace("│", " ").split()
    )


def test_objectives_are_choices_that_keep_what_they_read():
    experiment, _ = parsed(
        "model.heads.match:classes", "objectives.match:softmax_cross_entropy",
        "--objectives.match.class-weights", "balanced", "--objectives.match.target", "digit",
        "data:digits_class",
    )  # fmt: skip
    expected = SoftmaxCrossEntropy(output="match", target="digit", class_weights="balanced")
    assert experiment.objectives == {"match": expected}
    experiment, _ = parsed(
        "--objectives.match.class-weights", "1", "0.5", "objectives.match:softmax_cross_entropy"
    )
    assert experiment.objectives["match"].class_weights == (1.0, 0.5)


def test_an_objective_may_not_have_the_name_of_something_else():
    for name in ("auxiliary", "match/image"):
        with pytest.raises(ValueError, match="ambiguous in the log"):
            small(objectives={name: SMALL.objectives["match"]})


def test_an_objective_reads_a_head_that_there_is():
    objective = BinaryCrossEntropy(output="pair", target="match")
    with pytest.raises(
        ValueError, match=r"objectives.x: the model has no head 'pair'; .*from match"
    ):
        small(objectives={"x": objective})


def test_a_weight_of_a_modality_that_there_is_not_is_refused():
    network = dataclasses.replace(SMALL.model, unimodal="train")
    with pytest.raises(ValueError, match=r"unknown modalities \['imgae'\]; choose from \['image'"):
        small(model=network, balance=Blend(weights={"imgae": 5.0}))
