"""A whole training, and one that was interrupted."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mmjax.data.datasets import DigitsMatch
from mmjax.encoders import Bert, Lstm, ResNet
from mmjax.errors import UserError
from mmjax.heads import Logit
from mmjax.optim import Sgd
from mmjax.runs import checkpoint_reader, log
from mmjax.train.loop.fit import fit
from tests.config.experiments import small
from tests.faults.trainee import STEPS, Trainee, fast, outcome, same

pytestmark = pytest.mark.usefixtures("standard_promotion")
THREE_LABELS = dataclasses.replace(small().model, heads={"match": Logit(labels=3)})
ROOT = Path(__file__).parents[3]


def test_a_run_leaves_all_that_its_reader_needs(finished):
    run, metrics = finished
    files = {path.name for path in run.iterdir()}
    assert files >= {
        "config.json", "environment.json", "preprocessing.json", "metrics.jsonl", "results.json",
        "curves.png", "checkpoints",
    }  # fmt: skip
    results = json.loads((run / "results.json").read_text())
    assert results["metrics"] == metrics and results["step"] == 6 and results["parameters"] > 0
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"4", "6"}


def test_the_log_has_one_line_per_log_step_and_validation(finished):
    run, _ = finished
    records = log.read(run / log.FILE)
    assert [(r["step"], r["split"]) for r in records] == [
        (2, "train"), (4, "train"), (4, "validation"), (6, "train"), (6, "validation"),
    ]  # fmt: skip
    for record in records:
        assert {"loss", "match/loss", "match/accuracy"} <= set(record)
        if record["split"] == "train":
            assert {"epoch", "examples_per_second", "learning_rate", "seconds"} <= set(record)
        else:
            assert "match/auroc" in record


def test_a_finished_run_is_evaluated_again_to_the_same_numbers(finished, digits_dir, capsys):
    run, metrics = finished
    assert fit(small(data=DigitsMatch(data_dir=digits_dir)), run) == metrics
    assert "step 6 of 6: all done: measuring again" in capsys.readouterr().err


def test_a_batch_that_the_devices_do_not_divide_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="take 8 or 16"):
        fit(small(batch_size=12), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_encoder_that_knows_fewer_words_than_the_captions_have_is_refused(digits_dir, tmp_path):
    network = small().model
    network = dataclasses.replace(network, encoders={**network.encoders, "text": Lstm(20)})
    data = DigitsMatch(data_dir=digits_dir)
    with pytest.raises(
        ValueError, match=r"--model.encoders.text.vocabulary-size 20: .* has \d+ words"
    ):
        fit(small(model=network, data=data), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"best_metric": "score"}, r"--best-metric score: choose from loss, .*match/auroc"),
        ({"model": THREE_LABELS}, r"head 'match' gives \(16, 3\) and target 'match' is \(16,\)"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_folder_is_claimed(
    digits_dir, tmp_path, changes, message
):
    with pytest.raises(ValueError, match=message):
        fit(small(data=DigitsMatch(data_dir=digits_dir), **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverged_says_so_and_keeps_what_was_good(digits_dir, tmp_path):
    data, optim = DigitsMatch(data_dir=digits_dir), Sgd(peak_lr=1e30, schedule="constant")
    message = r"step \d: .* is NaN or infinite; the batch's examples were \[.*--optim.peak-lr"
    with pytest.raises(ValueError, match=message):
        fit(small(data=data, optim=optim), tmp_path / "run")
    assert checkpoint_reader.steps(tmp_path / "run") == []


@pytest.fixture(scope="module", params=["pmap", "jit"])
def straight(request, tmp_path_factory, digits_dir):
    """A run that nobody disturbs, and how to start another of its kind."""
    cache = str(tmp_path_factory.mktemp("compiled"))

    def start(run):
        flags = ("--parallel", request.param, "--devices", "2")
        return Trainee(run, digits_dir, flags, environment=fast(cache, 2)).start()

    run = tmp_path_factory.mktemp("straight") / "run"
    ((code, out, err),) = start(run).end()
    assert code == 0, err
    assert "match/accuracy" in out and f"run: {run}" in out
    return run, start, request.param


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_stopped_run_goes_on_bit_for_bit(straight, number, tmp_path):
    expected_run, start, wrapper = straight
    if wrapper == "jit" and number == signal.SIGKILL:
        number = signal.SIGTERM  # each signal once, and both wrappers
    stopped = start(tmp_path / "run")
    stopped.wait_for(logged=35, saved=20)
    os.kill(stopped.process.pid, number)
    ((code, _, err),) = stopped.end()
    assert not (tmp_path / "run" / "results.json").exists()
    if number == signal.SIGKILL:
        assert code == -number
    else:
        assert code == 128 + number
        assert "and saved; run the same command again to go on" in err
    ((code, _, err),) = start(tmp_path / "run").end()
    assert code == 0 and f" of {STEPS}: going on" in err
    if number == signal.SIGKILL:
        assert f"process {stopped.process.pid} on " in err and "ended without saying so" in err
    assert same(outcome(tmp_path / "run"), outcome(expected_run))


@pytest.fixture
def pretrained(tmp_path, digits_dir):
    """An experiment whose frozen text encoder starts from the stored weights of BERT."""
    with np.load(ROOT / "tests" / "parity" / "bert.npz") as stored:
        arrays = {
            name.removeprefix("weight/"): x for name, x in stored.items() if "weight/" in name
        }
        text = Bert(vocabulary_size=31, positions=9, width=24, heads=int(stored["heads"]))
    layers = sum(name.endswith("intermediate.dense.bias") for name in arrays)
    path = tmp_path / "bert.safetensors"
    save_file(arrays, path)
    text = dataclasses.replace(text, layers=layers, weights=str(path))
    network = dataclasses.replace(small().model, frozen=("text",))
    network = dataclasses.replace(network, encoders={**network.encoders, "text": text})
    data = DigitsMatch(data_dir=digits_dir, vocabulary_size=31, max_words=9)
    return small(model=network, data=data), path, arrays


def test_a_training_starts_from_published_weights_says_so_and_needs_them_once(
    pretrained, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "300")
    experiment, path, arrays = pretrained
    metrics = fit(experiment, tmp_path / "run")
    shown = capsys.readouterr().err
    assert "bert.safetensors" in shown and "frozen" in shown and "parameters learn" in shown
    params = checkpoint_reader.arrays(tmp_path / "run", 6, "variables")["params"]["encoders_text"]
    words = arrays["embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(params["word"]["embedding"], words)
    path.unlink()
    assert fit(experiment, tmp_path / "run") == metrics


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(pretrained, tmp_path):
    experiment, path, arrays = pretrained
    del arrays["embeddings.word_embeddings.weight"]
    save_file(arrays, path)
    message = r"--model\.encoders\.text\.weights .*bert\.safetensors: .*another architecture"
    with pytest.raises(ValueError, match=message):
        fit(experiment, tmp_path / "run")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"--model\.encoders\.text\.weights .*no such file"):
        fit(experiment, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_mixes_examples_is_not_trained_in_parts(digits_dir, tmp_path):
    network = small().model
    encoders = {**network.encoders, "image": ResNet(18, small_images=True, width=4)}
    changes = {"model": dataclasses.replace(network, encoders=encoders), "accumulate": 2}
    with pytest.raises(UserError, match=r"--accumulate: encoders_image/norm1.*: depends on all"):
        fit(small(data=DigitsMatch(data_dir=digits_dir), **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()
