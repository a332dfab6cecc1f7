"""A run that writes texts: trained, evaluated, and asked on the command line."""

import csv
import json

import jax
import numpy as np
import pytest

import mmjax
from mmjax.data.tables import columns
from mmjax.evaluation.predictions import Predictor
from mmjax.train.loop.fit import fit
from tests.cli.command import mmjax as command
from tests.cli.command import process
from tests.data.tables.made import write

COLOURS, THINGS = ["red", "blue", "green"], ["apple", "car", "bird", "house"]


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The folder of a run that turns "red car" with a number 2 into "two red cars are here"."""
    folder, rng = tmp_path_factory.mktemp("described"), np.random.default_rng(0)
    rows = []
    for _ in range(300):
        colour, thing = rng.choice(COLOURS), rng.choice(THINGS)
        count = int(rng.integers(2))
        text = f"{('one', 'two')[count]} {colour} {thing}"
        rows.append({"note": f"{colour} {thing}", "count": count + 0.5, "said": text})
    write(folder / "rows.csv", rows)
    data = mmjax.data.TableData(
        file="rows.csv",
        data_dir=str(folder),
        columns={
            "note": columns.TextColumn(),
            "table": columns.TableColumn(column=("count",)),
            "said": columns.TextTargetColumn(),
        },
    )
    data.prepare()
    kinds = data.preprocessing()
    decoder = mmjax.heads.LstmDecoder(
        target="said",
        vocabulary_size=kinds.targets["said"].vocabulary_size,
        width=32,
        length=kinds.targets["said"].max_words,
        beams=3,
    )
    words = kinds.transforms["note"].vocabulary_size
    experiment = mmjax.Experiment(
        model=mmjax.Multimodal(
            encoders={
                "note": mmjax.encoders.BagOfWords(words, dim=16, pooling="none"),
                "table": mmjax.encoders.TableMlp(16, hidden=(16,), categories=(0,)),
            },
            fusion=mmjax.fusion.Early(layers=1, dim=16),
            heads={"said": decoder},
            modality_dropout=0.1,
        ),
        objectives={"said": mmjax.objectives.TextCrossEntropy(output="said", target="said")},
        data=data,
        optim=mmjax.optim.Adam(peak_lr=1e-2),
        steps=200,
        batch_size=32,
        keeping=mmjax.Keeping(eval_every=100, log_every=50, best_metric="said/exact_match"),
    )
    with jax.numpy_dtype_promotion("standard"):  # optax
        fit(experiment, folder / "run")
    return folder


def test_it_learns_and_reports_texts(described):
    results = json.loads((described / "run" / "results.json").read_text())["metrics"]
    assert results["said/exact_match"] > 0.9 and results["said/bleu_1"] > 0.9
    assert results["said/perplexity"] < 1.5
    shown = json.loads(command("evaluate", described / "run", "--json"))
    assert shown["said/exact_match"] == results["said/exact_match"]


@pytest.mark.slow
def test_predict_prints_the_text_and_its_log_probability(described):
    rows = ("--input", "note=red car", 'table={"count": 1.5}')
    shown = command("predict", described / "run", *rows)
    assert shown.startswith("said two red car (log p = -")
    found = json.loads(command("predict", described / "run", *rows, "--num", "3", "--json"))
    assert found["said"]["value"] == "two red car"
    log_p = [found["said"]["log_probability"]]
    log_p += [one["log_probability"] for one in found["said"]["alternatives"]]
    assert len(log_p) == 3 and log_p == sorted(log_p, reverse=True)
    assert "\n  or " in command("predict", described / "run", *rows, "--num", "2")
    shown = command("predict", described / "run", *rows, "--prompt", "one blue")
    assert shown.startswith("said one blue")
    shown = command("predict", described / "run", *rows, "--temperature", "0.01")
    assert shown.startswith("said two red car")
    missing = command("predict", described / "run", "--input", "note=green bird")
    assert "green bird" in missing and "(table was missing)" in missing


def test_beams_stay_as_in_the_training_unless_they_are_given(described):
    def beams(**writing):
        return Predictor(described / "run", writing=writing).model.heads_by_output["said"].beams

    assert [beams(), beams(num=1), beams(num=2), beams(num=5)] == [3, 3, 3, 5]
    assert beams(num=2, beams=2) == 2 and beams(temperature=0.5, num=2) == 1


def test_a_file_of_predictions_has_the_further_texts_as_columns(described):
    command(
        "predict", described / "run", "--batch", described / "rows.csv",
        "--num", "2", "--out", described / "out.csv",
    )  # fmt: skip
    with (described / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = [row["predicted.said"] == row["said"] for row in rows]
    assert len(rows) == 300 and np.mean(right) > 0.9
    assert float(rows[0]["said.2.log_probability"]) <= float(rows[0]["said.log_probability"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--temperature", "0"), "temperature: expected above 0, got 0.0"),
        (("--beams", "0"), "beams: expected at least 1, got 0"),
        (("--prompt", "one red car one red"), "prompt: expected fewer than 4 words"),
        (("--prompt", "purple"), "has words that target 'said' lacks"),
        (("--num", "3", "--beams", "2"), "at most as many texts as beams"),
        (("--top-k", "3"), "give a temperature too"),
    ],
)
def test_what_cannot_be_written_is_refused_in_a_line(described, flags, message):
    done = process("predict", described / "run", "--input", "note=red car", *flags)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_a_run_without_a_decoder_writes_nothing(finished):
    done = process("predict", finished[0], "--text", "seven", "--num", "3")
    assert done.returncode == 1
    assert "num: the run writes no text: it has no decoder" in done.stderr


def test_describe_counts_the_decoder_by_teacher_forcing(described):
    shown = json.loads(command("describe", described / "run", "--no-memory", "--json"))
    parts = {part["path"]: part for part in shown["parts"]}
    assert set(parts) >= {"encoders_note", "encoders_table", "fusion", "heads_said"}
    words, width, vocabulary = 4, 32, 9
    cell = 2 * (2 * width + width) * 4 * width + 2 * 2 * width * width + 2 * width * vocabulary
    assert words * cell < parts["heads_said"]["flops"] < 3 * words * cell
