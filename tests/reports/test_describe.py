import dataclasses
import io
import json

import jax
import numpy as np
import pytest
from rich.console import Console

from mmjax.cli.describe import describe as show
from mmjax.cli.describe import load
from mmjax.config import Experiment
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.reports.describe import describe
from mmjax.runs import folder
from mmjax.runs.restore import restore

pytestmark = pytest.mark.usefixtures("standard_promotion")


@pytest.fixture(scope="module")
def described(finished):
    run, _ = finished
    with jax.numpy_dtype_promotion("standard"):
        return describe(*load(run))


def test_the_modules_are_those_of_the_model_with_what_they_return_and_cost(described, finished):
    run, _ = finished
    assert [(part.path, part.kind, part.output) for part in described.parts] == [
        ("encoders_image", "Cnn", "[1, 8]"),
        ("encoders_text", "Lstm", "[1, 8]"),
        ("imputation", "Mask", "image [1, 8], text [1, 8]"),
        ("fusion", "Concat", "[1, 16]"),
        ("heads_match", "Logit", "[]"),
    ]
    params = restore(run).variables["params"]
    for part in described.parts:
        assert part.parameters == sum(x.size for x in jax.tree.leaves(params.get(part.path, {})))
    assert described.parameters == json_file.read(run / folder.RESULTS)["parameters"]
    # One 3x3 convolution of 8x8 pixels from 1 channel to 4, and 4x4x4 numbers to 8.
    assert described.parts[0].flops == 2 * 8 * 8 * 4 * 9 + 2 * 64 * 8
    assert described.flops == sum(part.flops for part in described.parts)


def test_memory_holds_at_least_what_must_be_there(described):
    """Parameters, twice (before and after), with Adam's two moments; the batch."""
    parameters = 4 * described.parameters
    assert described.evaluation_bytes >= parameters
    assert described.training_bytes >= 6 * parameters
    assert all("MiB" in line for line in described.memory()) and len(described.memory()) == 2


def test_the_table_is_readable(described):
    console = Console(width=100, file=io.StringIO())
    console.print(described.table())
    shown = console.file.getvalue()
    assert "encoders_image" in shown and f"{described.parameters:,}" in shown


def test_a_larger_batch_takes_more_memory_and_costs_the_same_an_example(finished, described):
    experiment, preprocessing = load(finished[0])
    larger = describe(dataclasses.replace(experiment, batch_size=64), preprocessing)
    assert larger.training_bytes > described.training_bytes
    assert larger.flops == described.flops


def test_a_model_of_half_precision_is_described_and_memory_only_where_it_is_asked_for(finished):
    experiment, preprocessing = load(finished[0])
    half = dataclasses.replace(experiment.model, precision="bfloat16")
    found = describe(dataclasses.replace(experiment, model=half), preprocessing, memory=False)
    assert found.evaluation_bytes is None and found.memory() == []
    assert found.parts[0].path == "encoders_image"


def write(path, text):
    path.write_text(text)
    return path


def test_an_experiments_file_is_described_with_changes_as_on_its_command_line(tmp_path, digits_dir):
    path = write(tmp_path / "mine.py", "from tests.config.experiments import SMALL as experiment\n")
    changes = ["model.fusion:sum", "--data.data-dir", digits_dir, "--batch-size", "4"]
    experiment, preprocessing = load(path, changes)
    assert isinstance(experiment, Experiment) and experiment.batch_size == 4
    assert type(experiment.model.fusion).__name__ == "Sum"
    assert np.shape(preprocessing({"image": [None]})["image"].values) == (1, 8, 8, 1)


@pytest.mark.parametrize(
    "text, message",
    [
        ("x = 1\n", "called `experiment`, got none"),
        ("from tests.config.experiments import SMALL as a\nb = a\n", "`experiment`, got a, b"),
        ("x = (\n", r"mine\.py:1: '\(' was never closed"),
    ],
)
def test_a_file_without_an_experiment_is_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path / "mine.py", text))


def test_what_is_neither_a_run_nor_a_file_is_refused(finished, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: expected a run's folder or an experim"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"a\.md: expected the name of a Python file"):
        load(write(tmp_path / "a.md", ""))
    with pytest.raises(ValueError, match="a run is as it is"):
        load(finished[0], ["model.fusion:sum"])
    with pytest.raises(ValueError, match=r"is not a run: it has no config\.json"):
        load(tmp_path)


def test_a_compiler_that_tells_no_memory_is_named(finished, monkeypatch):
    monkeypatch.setattr(jax.stages.Compiled, "memory_analysis", lambda self: None)
    with pytest.raises(ValueError, match="tells no memory; leave it out with --no-memory"):
        describe(*load(finished[0]))


def test_a_run_tells_what_it_cost_and_what_its_modalities_bring(synergy, capsys):
    results = json_file.read(synergy / folder.RESULTS)
    cost, forward = results["compute"], describe(*load(synergy), memory=False).flops
    assert cost["forward_flops_per_example"] == forward > 0
    assert cost["training_flops_estimate"] == 3 * forward * 64 * 300
    assert cost["energy_joules"] is None or cost["energy_joules"] > 0
    show(synergy, memory=False, worth=True, json=True)
    rows = json.loads(capsys.readouterr().out)["worth"]
    assert {row["modality"] for row in rows} == {"vision", "touch"}
    whole = sum(row["shapley"] for row in rows)
    assert 0.3 < whole < 0.6 and all(row["shapley"] > 0.1 for row in rows)  # neither tells alone
    assert all(row["gflops"] > 0 for row in rows)
    show(synergy, memory=False, worth=True)
    assert "value / GFLOP" in capsys.readouterr().out
    with pytest.raises(UserError, match="--worth: expected the folder of a finished run"):
        show(synergy / "config.json", worth=True)
